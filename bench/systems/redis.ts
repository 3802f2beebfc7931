// Redis with its append-only file, synced before every answer, or once a second, as it is by default. Neither snapshots nor rewrites of that file are made meanwhile: they would
// only take from what is measured.

import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Certificate, makeCertificate } from './certificate.ts';
import { HOST, type Seat, startServers } from './servers.ts';
import type { System } from './system.ts';

const ANSWER_TIMEOUT_MS = 1000;

/** Whether a Redis on `port` answers; while it loads its data it says something else. */
function answersPing(port: number, ca: string | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    const ping = (): void => void socket.write('PING\r\n');
    const socket = ca === undefined ? connect(port, HOST, ping) : connectTls({ port, host: HOST, ca }, ping);
    const settle = (isReady: boolean): void => {
      socket.destroy();
      resolve(isReady);
    };
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => settle(false));
    socket.once('error', () => settle(false));
    socket.once('data', (answer) => settle(answer.toString('latin1').startsWith('+PONG')));
    socket.once('close', () => settle(false));
  });
}

type Sync = 'always' | 'everysec';

function portArguments(port: number, tls: Certificate | undefined): (string | number)[][] {
  if (tls === undefined) return [['--port', port]];
  const files = [
    ['--tls-cert-file', tls.certFile],
    ['--tls-key-file', tls.keyFile],
  ];
  return [['--port', 0], ['--tls-port', port], ['--tls-auth-clients', 'no'], ...files];
}

/** Command line of a server, which has TLS with `tls`. */
export function redisArguments({ port, folder }: Seat, sync: Sync, tls?: Certificate): string[] {
  return [
    ...portArguments(port, tls),
    ['--bind', HOST],
    ['--dir', folder],
    ['--appendonly', 'yes'],
    ['--appendfsync', sync],
    ['--auto-aof-rewrite-percentage', 0],
    ['--save', ''],
  ]
    .flat()
    .map(String);
}

function makeRedis(sync: Sync, isSecured = false): System {
  const isSynced = sync === 'always';
  return {
    id: `redis-${sync}${isSecured ? '-tls' : ''}`,
    label: `Redis Streams, appendfsync ${sync}`,
    driver: 'redis',
    nodes: 1,
    setting: isSynced ? '1 node, synced' : '1 node, not synced (every 1 s)',
    isDurable: isSynced,
    program: { name: 'redis-server', debianPackage: 'redis-server', versionFlag: '--version' },
    since: undefined,
    ...(isSecured ? {} : { secured: makeRedis(sync, true) }),
    async start(place, path) {
      const folder = place.newFolder('redis');
      const tls = isSecured ? await makeCertificate(`${folder}-tls`) : undefined;
      return startServers(path, folder, 1, {
        driver: 'redis',
        ca: tls?.ca,
        args: (seat) => redisArguments(seat, sync, tls),
        isReady: ({ port }) => answersPing(port, tls?.ca),
        leads: async () => true,
        electionTimeoutMs: Number.NaN,
        urls: (seats) => seats.map(({ port }) => `${isSecured ? 'rediss' : 'redis'}://${HOST}:${port}`),
      });
    },
  };
}

export const redisAlways = makeRedis('always');
export const redisEverySecond = makeRedis('everysec');
