// Connections that are made faster than the node reads: one whose request is there, and was not read yet, is not taken for a silent one.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { HTTP_CONNECTIONS } from '../../src/core/servingLimits.ts';
import { loadAcceptor } from '../../src/server/acceptors/load.ts';
import { Listener } from '../../src/server/listener.ts';
import { LISTENER_OPTIONS, NO_SESSIONS } from '../support/listener.ts';
import { eventually } from './support/fixture.ts';

/** Fewer than the system keeps for a node that does not take them. */
const AT_ONCE = 400;
const PLACES = HTTP_CONNECTIONS + 1;

/** Connects when it is told, whatever the main thread does; the first connection asks for health. */
const CLIENTS = `
  const { connect } = require('node:net');
  const { parentPort, workerData: made } = require('node:worker_threads');
  parentPort.on('message', ({ port, count }) => {
    let missing = count;
    for (let i = 0; i < count; i++) {
      const socket = connect(port, '127.0.0.1', () => {
        if (count === 1) {
          socket.write('GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n');
          socket.on('data', (bytes) => parentPort.postMessage(bytes.toString()));
          socket.on('close', () => parentPort.postMessage('closed'));
        }
        missing -= 1;
        if (missing > 0) return;
        Atomics.store(made, 0, 1);
        Atomics.notify(made, 0);
      });
      socket.on('error', () => undefined);
    }
  });
`;

test.each(['uws', 'ws'] as const)(
  'a request that was not read yet is answered, however many connections come after it, by %s',
  async (name) => {
    const made = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(CLIENTS, { eval: true, workerData: made });
    onTestFinished(async () => void (await worker.terminate()));
    await once(worker, 'online');
    /** Makes connections while this thread waits. */
    const connect = (port: number, count: number): void => {
      Atomics.store(made, 0, 0);
      worker.postMessage({ port, count });
      expect(Atomics.wait(made, 0, 0, 20_000)).not.toBe('timed-out');
    };
    let port = 0;
    let came = 0;
    let connections = (): number => 0;
    const makeAcceptor = await loadAcceptor(name, () => undefined, 'acceptor');
    const listener = new Listener(
      { ...LISTENER_OPTIONS, places: { maxConnections: 1, maxSockets: PLACES, maxDescriptors: 3 * PLACES } },
      NO_SESSIONS,
      (options, events) => {
        const acceptor = makeAcceptor(options, {
          ...events,
          connected: () => {
            came += 1;
            // Others go on connecting while the node takes those that are there.
            if (came % AT_ONCE === 0 && came < 1.5 * PLACES) connect(port, AT_ONCE);
            events.connected();
          },
        });
        connections = () => acceptor.httpConnections;
        return acceptor;
      },
    );
    onTestFinished(() => listener.close());
    port = await listener.listen(() => () => ({ status: 200, type: 'text/plain', body: 'ok' }));
    const answers: string[] = [];
    worker.on('message', (answer: string) => answers.push(answer));
    connect(port, 1);
    connect(port, AT_ONCE - 1);
    await eventually(() => answers.length > 0, 'an answer');
    expect(answers[0]).toMatch(/^HTTP\/1\.1 200 OK/);
    await eventually(() => came > PLACES, 'there were more than places');
    await eventually(() => connections() <= PLACES, 'there are no more than places');
    expect(connections()).toBeGreaterThan(PLACES - 10);
  },
);
