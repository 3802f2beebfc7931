// Redis with its append-only file, synced before every answer, or once a second, as it is by default. Neither snapshots nor rewrites of that file are made meanwhile: they would
// only take from what is measured.

import { connect } from 'node:net';
import { HOST, type Seat, startServers } from './servers.ts';
import type { System } from './system.ts';

const ANSWER_TIMEOUT_MS = 1000;

/** Whether a Redis on `port` answers; while it loads its data it says something else. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST, () => socket.write('PING\r\n'));
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

/** Command line of a server. */
export function redisArguments({ port, folder }: Seat, sync: Sync): string[] {
  return [
    ['--port', port],
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

function makeRedis(sync: Sync): System {
  const isSynced = sync === 'always';
  return {
    id: `redis-${sync}`,
    label: `Redis Streams, appendfsync ${sync}`,
    driver: 'redis',
    nodes: 1,
    setting: isSynced ? '1 node, synced' : '1 node, not synced (every 1 s)',
    isDurable: isSynced,
    program: { name: 'redis-server', debianPackage: 'redis-server', versionFlag: '--version' },
    since: undefined,
    start(place, path) {
      return startServers(path, place.newFolder('redis'), 1, {
        driver: 'redis',
        args: (seat) => redisArguments(seat, sync),
        isReady: ({ port }) => answersPing(port),
        leads: async () => true,
        electionTimeoutMs: Number.NaN,
        urls: (seats) => seats.map(({ port }) => `redis://${HOST}:${port}`),
      });
    },
  };
}

export const redisAlways = makeRedis('always');
export const redisEverySecond = makeRedis('everysec');
