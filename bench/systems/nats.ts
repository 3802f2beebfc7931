// NATS JetStream with files: as it is by default, which answers before anything is synced, and with every write synced, which servers have
// from 2.10 on.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Certificate, makeCertificate } from './certificate.ts';
import { natsServerName } from './names.ts';
import { HOST, isHealthy, type Seat, startServers } from './servers.ts';
import type { System, Version } from './system.ts';

/** Fixed in the server: it waits at random for 4 to 9 s. */
const ELECTION_TIMEOUT_MS = 4000;

const SYNC_ALWAYS_SINCE: Version = [2, 10];

/** Configuration file of the server at `seat`, which has TLS with `tls`. */
export function natsConfiguration(seat: Seat, seats: readonly Seat[], isSynced: boolean, tls?: Certificate): string {
  const routes = seats.filter(({ id }) => id !== seat.id).map(({ peerPort }) => `"nats://${HOST}:${peerPort}"`);
  const lines = [
    `server_name: ${natsServerName(seat.id)}`,
    `listen: "${HOST}:${seat.port}"`,
    `http: "${HOST}:${seat.statePort}"`,
    `jetstream { store_dir: ${JSON.stringify(seat.folder)}${isSynced ? ', sync_interval: always' : ''} }`,
  ];
  if (routes.length > 0) lines.push(`cluster { name: bench, listen: "${HOST}:${seat.peerPort}", routes: [${routes.join(', ')}] }`);
  if (tls !== undefined) lines.push(`tls { cert_file: ${JSON.stringify(tls.certFile)}, key_file: ${JSON.stringify(tls.keyFile)} }`);
  return `${lines.join('\n')}\n`;
}

/** What is used of the answer to /jsz. */
interface JetStreamState {
  readonly account_details?: readonly { readonly stream_detail?: readonly { readonly cluster?: { readonly leader?: string } }[] }[];
}

/** Whether the server at `seat` leads the stream, of which there is one. */
async function leads({ id, statePort }: Seat): Promise<boolean> {
  const response = await fetch(`http://${HOST}:${statePort}/jsz?streams=true`);
  const { account_details: accounts = [] } = (await response.json()) as JetStreamState;
  const streams = accounts.flatMap(({ stream_detail: details = [] }) => details);
  return streams.some(({ cluster }) => cluster?.leader === natsServerName(id));
}

function makeNats(nodes: 1 | 3, isSynced: boolean, { isSecured = false, isOnce = false } = {}): System {
  const nodesText = nodes === 1 ? '1 node' : `${nodes} nodes`;
  const synced = nodes === 1 ? 'synced' : 'majority synced';
  return {
    id: `nats${nodes === 1 ? '' : `-${nodes}`}${isSynced ? '-always' : ''}${isSecured ? '-tls' : ''}${isOnce ? '-ids' : ''}`,
    label: `NATS JetStream, ${nodesText}, file storage, sync_interval ${isSynced ? 'always' : 'default'}`,
    driver: 'nats',
    nodes,
    setting: `${nodesText}, ${isSynced ? synced : 'not synced (every 2 min)'}`,
    isDurable: isSynced,
    program: { name: 'nats-server', debianPackage: 'nats-server', versionFlag: '--version' },
    since: isSynced ? SYNC_ALWAYS_SINCE : undefined,
    ...(isSecured || isOnce || nodes > 1
      ? {}
      : { secured: makeNats(nodes, isSynced, { isSecured: true }), once: makeNats(nodes, isSynced, { isOnce: true }) }),
    async start(place, path) {
      const folder = place.newFolder('nats');
      const tls = isSecured ? await makeCertificate(`${folder}-tls`) : undefined;
      return startServers(path, folder, nodes, {
        driver: 'nats',
        ca: tls?.ca,
        isOnce,
        args(seat, seats) {
          const file = join(seat.folder, 'nats.conf');
          writeFileSync(file, natsConfiguration(seat, seats, isSynced, tls));
          return ['--config', file];
        },
        leads,
        electionTimeoutMs: ELECTION_TIMEOUT_MS,
        isReady: ({ statePort }) => isHealthy(`http://${HOST}:${statePort}/healthz`),
        urls: (seats) => seats.map(({ port }) => `nats://${HOST}:${port}`),
      });
    },
  };
}

export const nats = makeNats(1, false);
export const natsAlways = makeNats(1, true);
export const nats3 = makeNats(3, false);
export const nats3Always = makeNats(3, true);
