import { describe, expect, it } from 'vitest';
import { GATE_BUSY, GATE_BUSY_CLOSING, GATE_CLOSED, GATE_OPEN, Gate } from '../../src/memory/gate.ts';
import { STATE } from '../../src/memory/map.ts';
import { smallMemory } from '../crash/testNode.ts';
import { BROKEN_AT, COUNTS_AT, countAll, ENOUGH_AT, ROUNDS_AT } from '../support/memoryThread.ts';
import { startThread } from './thread.ts';

describe('gate', () => {
  it('is closed in a new memory, lets the main thread in while it is open, and closes again', () => {
    const memory = smallMemory();
    const gate = new Gate(memory);
    expect(memory.word32(STATE.GATE)).toBe(GATE_CLOSED);
    expect(gate.enter()).toBe(false);
    gate.closeSync();
    gate.open();
    gate.open();
    expect(gate.enter()).toBe(true);
    expect(memory.word32(STATE.GATE)).toBe(GATE_BUSY);
    // Opening is for a closed gate: it must not throw out who is inside.
    gate.open();
    expect(memory.word32(STATE.GATE)).toBe(GATE_BUSY);
    gate.leave();
    expect(memory.word32(STATE.GATE)).toBe(GATE_OPEN);
    gate.closeSync();
    gate.closeSync();
    expect(memory.word32(STATE.GATE)).toBe(GATE_CLOSED);
    expect(gate.enter()).toBe(false);
  });

  it('leaving a gate that is to close closes it', () => {
    const memory = smallMemory();
    const gate = new Gate(memory);
    gate.open();
    gate.enter();
    memory.setWord32(STATE.GATE, GATE_BUSY_CLOSING);
    gate.leave();
    expect(memory.word32(STATE.GATE)).toBe(GATE_CLOSED);
  });

  it('entering twice, or leaving without having entered, is a bug of ours', () => {
    const gate = new Gate(smallMemory());
    expect(() => gate.leave()).toThrow(/only who is inside/);
    gate.open();
    expect(() => gate.leave()).toThrow(/only who is inside/);
    gate.enter();
    expect(() => gate.enter()).toThrow(/once at a time/);
  });

  it('two threads that hammer it are never inside together, and both get on', async () => {
    const memory = smallMemory();
    const gate = new Gate(memory);
    const enough = 30_000;
    const thread = startThread({ shared: memory.shared, kind: 'gate', entries: new Uint8Array(0) });
    await thread.running;
    let inside = 0;
    let outside = 0;
    while (memory.word32(ROUNDS_AT) < enough || inside < enough || outside < enough) {
      if (gate.enter()) {
        countAll(memory);
        inside += 1;
        gate.leave();
      } else {
        outside += 1;
      }
    }
    memory.setWord32(ENOUGH_AT, 1);
    await thread.ended;
    const rounds = memory.word32(ROUNDS_AT);
    expect(memory.word32(BROKEN_AT)).toBe(0);
    expect(memory.u32(COUNTS_AT)).toBe(inside + rounds);
    expect(gate.enter()).toBe(false);
  });
});
