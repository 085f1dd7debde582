/**
 * A member of a group as a process of its own: runs on a node of `corosync-cluster.mjs`, with the compiled transport, and talks JSON
 * lines with its parent. Arguments: node, group, incarnation.
 *
 * In: {submit: message} {flush} {close} {groups: id} {state: id} {busy: ms}. Out: what the transport tells.
 */
import { createInterface } from 'node:readline';
import { CorosyncTransport } from '../../dist/cluster/corosync.js';

const [node, group, incarnation] = process.argv.slice(2);
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const transport = new CorosyncTransport({
  self: { node: Number(node), name: `host${node}`, bootId: `boot-${node}`, incarnation },
  // An argument of a program ends at a NUL; the names of real cmirrord's groups have one.
  group: group.replace('\\0', '\0'),
  events: {
    delivered: (order, { type, node: sender, uuid, seq, flag, regions, count, bytes, byteCount }) => {
      const lists = {
        regions: [...regions.slice(0, count)],
        bytes: Buffer.from(bytes.slice(0, byteCount)).toString('base64'),
      };
      say({ delivered: order, message: { type, node: sender, uuid, seq, flag, ...lists } });
    },
    acknowledged: (order) => say({ acknowledged: order }),
    viewChanged: (view) => say({ view }),
    quorumChanged: (quorate) => say({ quorate }),
  },
  reports: {
    problem: (event, text) => say({ problem: text, event }),
    recovered: (event, text) => say({ recovered: text, event }),
    nodeChanged: (other) => say({ nodeChanged: other }),
    heardChanged: (heard) => say({ heard }),
  },
  endTurn: () => transport.flush(),
});

/** Turns of the event loop, and the longest wait between two: a transport that waits for corosync shows here. */
let last = performance.now();
let slowest = 0;
setInterval(() => {
  const now = performance.now();
  slowest = Math.max(slowest, now - last);
  last = now;
}, 5);

createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line);
  if (order.submit !== undefined) {
    const { regions, bytes, ...rest } = order.submit;
    const content = Buffer.from(bytes, 'base64');
    transport.submit({
      ...rest,
      regions: Float64Array.from(regions),
      count: regions.length,
      bytes: new Uint8Array(content),
      byteCount: content.length,
    });
  }
  if (order.flush) transport.flush();
  if (order.state !== undefined) {
    const { user, system } = process.cpuUsage();
    say({
      answer: order.state,
      state: transport.state,
      slowestMs: slowest,
      cpuMs: (user + system) / 1000,
      rss: process.memoryUsage.rss(),
    });
    slowest = 0;
  }
  if (order.groups !== undefined) {
    transport.foreignGroups().then(
      (groups) => say({ answer: order.groups, groups }),
      (error) => say({ answer: order.groups, error: error.message }),
    );
  }
  if (order.busyMs !== undefined) {
    for (const end = performance.now() + order.busyMs; performance.now() < end; );
  }
  if (order.close) {
    transport.close();
    say({ closed: true });
    process.exit(0);
  }
});
process.stdin.on('end', () => process.exit(0));
