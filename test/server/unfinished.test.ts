import { describe, expect, onTestFinished, test } from 'vitest';
import { MIN_CLIENT_BYTES_PER_SECOND, UNFINISHED_PING_MS } from '../../src/core/limits.ts';
import { CLOSE_UNFINISHED } from '../../src/protocol/client.ts';
import type { HttpAnswer } from '../../src/server/acceptor.ts';
import { loadAcceptor } from '../../src/server/acceptors/load.ts';
import { Listener } from '../../src/server/listener.ts';
import { longestMessageMs, unfinished } from '../../src/server/unfinished.ts';
import { clientFrame, frameHead, OPCODE } from '../support/attack/frames.ts';
import { openByHand } from '../support/attack/openByHand.ts';

const CHECK_MS = 50;
const LIMIT_MS = 1500;

const NO_PAGE: HttpAnswer = { status: 404, type: 'text/plain', body: '' };

/** A listener in this process whose clients are looked at often. */
async function listen(): Promise<number> {
  const nothing = (): void => undefined;
  const listener = new Listener(
    {
      host: '127.0.0.1',
      port: 0,
      places: { maxConnections: 100, maxSockets: 100, maxDescriptors: 100 },
      maxMessageBytes: 1 << 20,
      budget: { requests: 1000, bytes: 1 << 22 },
      allowedOrigins: [],
      unfinishedCheckMs: CHECK_MS,
      unfinishedMs: LIMIT_MS,
    },
    { opened: nothing, message: nothing, drained: nothing, closed: nothing, warn: nothing },
    await loadAcceptor('auto', nothing),
  );
  onTestFinished(() => listener.close());
  return listener.listen(() => () => NO_PAGE);
}

describe('A3: a message that does not end', () => {
  test('a byte now and then does not keep it; one that only answers pings, or finishes fragments with pongs between, stays', async () => {
    const port = await listen();
    const dripping = await openByHand(port, onTestFinished);
    dripping.socket.write(frameHead(1000));
    const answering = await openByHand(port, onTestFinished);
    const fragments = await openByHand(port, onTestFinished);
    fragments.socket.write(clientFrame(Buffer.from('a'), OPCODE.binary, false));
    const timer = setInterval(() => {
      dripping.socket.write('x');
      answering.socket.write(clientFrame(Buffer.alloc(0), OPCODE.pong));
      fragments.socket.write(
        Buffer.concat([clientFrame(Buffer.from('a'), OPCODE.continuation, false), clientFrame(Buffer.alloc(0), OPCODE.pong)]),
      );
    }, 100);
    onTestFinished(() => clearInterval(timer));
    expect(await dripping.goodbye).toMatchObject({ code: CLOSE_UNFINISHED, reason: expect.stringContaining('nothing whole') });
    const others = Promise.race([answering.goodbye, fragments.goodbye]);
    expect(await Promise.race([others, new Promise((resolve) => setTimeout(() => resolve('still there'), 2 * CHECK_MS))])).toBe(
      'still there',
    );
  });

  test('who is silent is pinged, and has as long as the largest message takes; longer while it takes what it was sent', () => {
    const pinged: string[] = [];
    const watched = (name: string, startedMs: number, hasUnsent = false) => ({
      name,
      startedMs,
      session: { hasUnsent, ping: () => void pinged.push(name) },
    });
    const limitMs = longestMessageMs(16 << 20);
    expect(limitMs).toBeGreaterThan(2 * ((16 << 20) / 125_000) * 1000 - 1);
    const all = [
      watched('new', 1e6),
      watched('idle', 1e6 - UNFINISHED_PING_MS - 1),
      watched('late', 1e6 - limitMs - 1),
      watched('slow', 1e6 - limitMs - 1, true),
    ];
    expect(unfinished(all, 1e6, 0, limitMs).map(({ name }) => name)).toEqual(['late']);
    expect(pinged).toEqual(['idle', 'slow']);
    // The node itself stood still for an hour: nobody is to blame for that.
    expect(unfinished([watched('idle', 1e6)], 1e6 + 3_600_000, 3_600_000 - 1000, limitMs)).toEqual([]);
    expect(MIN_CLIENT_BYTES_PER_SECOND).toBeLessThan(125_000);
  });
});
