// Redis with its append-only file, synced before every answer. Neither snapshots nor rewrites of that file are made meanwhile: they would
// only take from what is measured.

import { connect } from 'node:net';
import { HOST, startServers } from './servers.ts';
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

export const redisAlways: System = {
  id: 'redis-always',
  label: 'Redis Streams, appendfsync always',
  driver: 'redis',
  setting: '1 node, synced before the answer',
  isDurable: true,
  program: { name: 'redis-server', debianPackage: 'redis-server', versionFlag: '--version' },
  since: undefined,
  start(context, path) {
    return startServers(path, context.newFolder('redis'), 1, {
      driver: 'redis',
      args: ({ port, folder }) =>
        [
          ['--port', port],
          ['--bind', HOST],
          ['--dir', folder],
          ['--appendonly', 'yes'],
          ['--appendfsync', 'always'],
          ['--auto-aof-rewrite-percentage', 0],
          ['--save', ''],
        ]
          .flat()
          .map(String),
      isReady: ({ port }) => answersPing(port),
      urls: (seats) => seats.map(({ port }) => `redis://${HOST}:${port}`),
    });
  },
};
