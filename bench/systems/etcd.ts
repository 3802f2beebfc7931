// etcd, as one node and as three, as it is by default but for the bound of its size.

import { join } from 'node:path';
import { HOST, isHealthy, type Seat, startServers } from './servers.ts';
import type { System } from './system.ts';

/** The default, 2 GB, could be reached; 8 GiB is the most that etcd advises. */
const QUOTA_BYTES = 8 * 1024 ** 3;

/** The default of --election-timeout. */
const ELECTION_TIMEOUT_MS = 1000;

function nameOf({ id }: Seat): string {
  return `etcd-${id}`;
}

function clientUrl({ port }: Seat): string {
  return `http://${HOST}:${port}`;
}

function peerUrl({ peerPort }: Seat): string {
  return `http://${HOST}:${peerPort}`;
}

/** Whether the node at `seat` leads. */
async function leads(seat: Seat): Promise<boolean> {
  const response = await fetch(`${clientUrl(seat)}/v3/maintenance/status`, { method: 'POST', body: '{}' });
  const { header, leader } = (await response.json()) as { header?: { member_id?: string }; leader?: string };
  return leader !== undefined && leader === header?.member_id;
}

/** Command line of the server at `seat`. */
export function etcdArguments(seat: Seat, seats: readonly Seat[]): string[] {
  return [
    ['--name', nameOf(seat)],
    ['--data-dir', join(seat.folder, 'data')],
    ['--listen-client-urls', clientUrl(seat)],
    ['--advertise-client-urls', clientUrl(seat)],
    ['--listen-peer-urls', peerUrl(seat)],
    ['--initial-advertise-peer-urls', peerUrl(seat)],
    ['--initial-cluster', seats.map((each) => `${nameOf(each)}=${peerUrl(each)}`).join(',')],
    ['--quota-backend-bytes', QUOTA_BYTES],
    ['--logger', 'zap'],
    ['--log-level', 'error'],
  ]
    .flat()
    .map(String);
}

function makeEtcd(nodes: 1 | 3): System {
  return {
    id: nodes === 1 ? 'etcd' : `etcd-${nodes}`,
    label: `etcd, ${nodes === 1 ? '1 node' : `${nodes} nodes`}`,
    driver: 'etcd',
    nodes,
    setting: nodes === 1 ? '1 node, synced' : `${nodes} nodes, majority synced`,
    isDurable: true,
    program: { name: 'etcd', debianPackage: 'etcd-server', versionFlag: '--version' },
    since: undefined,
    start(place, path) {
      return startServers(path, place.newFolder('etcd'), nodes, {
        driver: 'etcd',
        args: etcdArguments,
        leads,
        electionTimeoutMs: ELECTION_TIMEOUT_MS,
        isReady: (seat) => isHealthy(`${clientUrl(seat)}/health`),
        // The leader first: another node only passes on what it is asked to write.
        async urls(seats) {
          const isLeader = await Promise.all(seats.map(leads));
          return [...seats.filter((_, i) => isLeader[i]), ...seats.filter((_, i) => !isLeader[i])].map(clientUrl);
        },
      });
    },
  };
}

export const etcd = makeEtcd(1);
export const etcd3 = makeEtcd(3);
