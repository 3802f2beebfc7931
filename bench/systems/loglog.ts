// LogLog, of this build and of another one, as one node and as a cluster.

import { LogLogServers } from './loglogServers.ts';
import type { System } from './system.ts';

function makeLogLog(nodes: 1 | 3, build: string | undefined): System {
  const [name, label] = build === undefined ? ['loglog', 'LogLog'] : ['before', `LogLog in ${build}`];
  return {
    id: nodes === 1 ? name : `${name}-${nodes}`,
    label: `${label}, ${nodes === 1 ? '1 node' : `${nodes} nodes`}`,
    driver: 'loglog',
    build,
    nodes,
    setting: nodes === 1 ? '1 node, synced' : `${nodes} nodes, majority synced`,
    isDurable: true,
    program: undefined,
    since: undefined,
    start: (place) => LogLogServers.start(place, place.newFolder(name), { nodes, build }),
  };
}

export const loglog = makeLogLog(1, undefined);
export const loglog3 = makeLogLog(3, undefined);

/** The same of the build in the folder `build`, to be compared with this one. */
export function systemsBefore(build: string): System[] {
  return [makeLogLog(1, build), makeLogLog(3, build)];
}
