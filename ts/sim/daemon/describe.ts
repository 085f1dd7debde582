/** How a daemon's log stands, in one line: for a run that does not end. */
import { LifeCycle, type LogState } from '../../mirror/log-state.js';
import type { MirrorLog } from '../../mirror/mirror-log.js';

const regionsMax = 8;
const nodesMax = 9;

export function describeLog(logs: Iterable<MirrorLog>, uuid: string): string {
  for (const { replica, state, life, uuid: name } of logs) {
    if (name !== uuid || state.lifeCycle === LifeCycle.pending) continue;
    const { phase } = replica;
    const { table } = replica.rights;
    const members = table?.members.map(({ node, stage, present, valid, settled }) => {
      return `${node} ${stage}${present ? '' : ' away'}${valid ? ' valid' : ''}${settled ? '' : ' unsettled'}`;
    });
    const { store } = life;
    const written = store === null ? '' : ` ${store.phase} ${store.durableGeneration}/${store.generation}`;
    const search = `search ${state.searchPosition}${state.inSyncLatched ? ' latched' : ''}`;
    const rest = `${search}; out of sync ${outOfSync(state)}`;
    return `${phase}; writer ${table?.writer} of ${table?.epoch}${written}; ${members?.join(', ')}; ${rest}`;
  }
  return 'none';
}

/** The first regions out of sync, and whose marks are there. */
function outOfSync({ map, owners }: LogState): string {
  const regions: string[] = [];
  for (let region = map.nextOutOfSync(0); region >= 0 && regions.length < regionsMax; ) {
    const nodes = Array.from({ length: nodesMax }, (_, at) => at + 1).filter((node) => owners.has(node, region));
    regions.push(`${region}${map.isHeld(region) ? ' held' : ''}${nodes.length > 0 ? ` of ${nodes.join(' ')}` : ''}`);
    region = region + 1 < map.regionCount ? map.nextOutOfSync(region + 1) : -1;
  }
  return regions.join(', ');
}
