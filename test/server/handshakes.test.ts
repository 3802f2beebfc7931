// How many TLS handshakes begin at a time, and whose: with sockets and turns in the test's hands.

import { Duplex } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { HANDSHAKE_PATIENCE_MS, HANDSHAKES_PER_TURN, MAX_HANDSHAKES, MAX_HELLO_BYTES } from '../../src/core/servingLimits.ts';
import { Handshakes } from '../../src/server/acceptors/handshakes.ts';

const HELLO = Buffer.from([0x16, 3, 1, 0, 1, 1]);

/** One end of a connection, on which the test says what comes. */
class Raw extends Duplex {
  readonly remoteAddress: string;

  constructor(remoteAddress: string) {
    super();
    this.remoteAddress = remoteAddress;
  }

  override _read(): void {
    // What comes is pushed.
  }

  say(bytes: Uint8Array): void {
    this.push(bytes);
  }
}

function make() {
  const turns: (() => void)[] = [];
  const later: (() => void)[] = [];
  const begun: Raw[] = [];
  const state = { nowMs: 0 };
  const handshakes = new Handshakes<Raw>({
    begin: (socket) => void begun.push(socket),
    nowMs: () => state.nowMs,
    afterTurn: (run) => void turns.push(run),
    after: (_delayMs, run) => void later.push(run),
  });
  const run = (queue: (() => void)[]): void => {
    for (const next of queue.splice(0)) next();
  };
  const came = (address: string): Raw => {
    const raw = new Raw(address);
    handshakes.came(raw);
    return raw;
  };
  return { handshakes, begun, state, came, turn: () => run(turns), look: () => run(later) };
}

/** What streams do at the end of a turn is done. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('handshakes', () => {
  test('of thousands that come at once a few begin in each turn, and all in the end', async () => {
    const { handshakes, begun, came, turn } = make();
    const crowd = Array.from({ length: 1000 }, () => came('10.0.0.1'));
    for (const raw of crowd) raw.say(HELLO);
    await settled();
    expect([handshakes.waiting, begun.length]).toEqual([1000, 0]);
    for (let done = 0; done < 1000; done += HANDSHAKES_PER_TURN) {
      turn();
      expect(begun).toHaveLength(done + HANDSHAKES_PER_TURN);
      for (const raw of begun.slice(done)) handshakes.over(raw);
    }
    expect(begun).toEqual(crowd);
    expect([handshakes.waiting, handshakes.underWay]).toEqual([0, 0]);
    // What it had said is there for who begins.
    expect(crowd[0]?.read()).toEqual(HELLO);
  });

  test('addresses take turns: a crowd from one does not keep another one waiting', async () => {
    const { begun, came, turn } = make();
    for (let i = 0; i < 100; i++) came('10.0.0.1').say(HELLO);
    await settled();
    const other = came('10.0.0.2');
    other.say(HELLO);
    await settled();
    turn();
    expect(begun.indexOf(other)).toBeLessThan(HANDSHAKES_PER_TURN);
    expect(begun.indexOf(other)).toBeGreaterThanOrEqual(0);
  });

  test('who says nothing takes no place; what is no TLS, and what is too long for a beginning, is closed', async () => {
    const { handshakes, begun, came, turn } = make();
    const silent = came('10.0.0.1');
    const plain = came('10.0.0.1');
    plain.say(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    const long = came('10.0.0.1');
    long.say(Buffer.alloc(MAX_HELLO_BYTES + 1, 0x16));
    const gone = came('10.0.0.1');
    gone.say(HELLO);
    await settled();
    gone.destroy();
    await settled();
    turn();
    expect([silent.destroyed, plain.destroyed, long.destroyed]).toEqual([false, true, true]);
    expect([begun, handshakes.waiting]).toEqual([[], 0]);
    silent.destroy();
  });

  test('no more than there may be are under way; one that does not go on makes room, of the address that has most of them', async () => {
    const { handshakes, begun, state, came, turn, look } = make();
    const patient = came('10.0.0.2');
    patient.say(HELLO);
    await settled();
    turn();
    for (let i = 0; i < MAX_HANDSHAKES; i++) came('10.0.0.1').say(HELLO);
    await settled();
    for (let i = 0; i < MAX_HANDSHAKES; i++) turn();
    expect([handshakes.underWay, handshakes.waiting, begun.length]).toEqual([MAX_HANDSHAKES, 1, MAX_HANDSHAKES]);
    look();
    expect([handshakes.underWay, handshakes.waiting]).toEqual([MAX_HANDSHAKES, 1]);
    state.nowMs = HANDSHAKE_PATIENCE_MS;
    look();
    expect([handshakes.underWay, handshakes.waiting]).toEqual([MAX_HANDSHAKES, 0]);
    expect([patient.destroyed, begun[1]?.destroyed]).toEqual([false, true]);
    // One that is over makes room, however long the others take.
    state.nowMs = 0;
    came('10.0.0.1').say(HELLO);
    await settled();
    turn();
    expect(handshakes.waiting).toBe(1);
    handshakes.over(patient);
    look();
    expect([handshakes.underWay, handshakes.waiting]).toEqual([MAX_HANDSHAKES, 0]);
  });
});
