/** The simulated group passes what every transport must; what it does beyond that is in test/sim/simulated-group.test.ts. */
import { SimulatedGroup } from '../../ts/sim/cluster/group.js';
import type { SimulatedTransport } from '../../ts/sim/cluster/transport.js';
import { Prng } from '../../ts/sim/prng.js';
import { Timeline } from '../../ts/sim/timeline.js';
import { describeTransport, member } from './transport-conformance.js';

for (const nodes of [[1], [1, 2, 3], [1, 4, 2, 9]]) {
  describeTransport(`simulated transport of ${nodes.length} conforms`, nodes, () => {
    const timeline = new Timeline();
    const group = new SimulatedGroup({ timeline, prng: new Prng(nodes.length), nodes });
    for (const node of nodes) group.startService(node);
    const transports: SimulatedTransport[] = [];
    return {
      join(node, events) {
        const transport = group.connect(member(node), events, (action) => action());
        transports.push(transport);
        return transport;
      },
      async settle() {
        do {
          for (const transport of transports) transport.flush();
          while (timeline.step());
        } while (transports.some((transport) => transport.pending));
      },
      async close() {
        for (const transport of transports) transport.close();
      },
    };
  });
}
