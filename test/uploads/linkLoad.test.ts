// When a leader says that its links to the others are what waits, on a clock of the test's own.

import { expect, it } from 'vitest';
import { LINK_QUEUED_MS, LINK_UNDER_WAY_BYTES } from '../../src/core/uploadLimits.ts';
import { STATE } from '../../src/memory/map.ts';
import type { Leadership } from '../../src/raft/leadership.ts';
import { LinkLoad } from '../../src/replication/linkLoad.ts';
import { smallMemory } from '../crash/testNode.ts';

const LOOK_MS = 100;

function setUp() {
  const memory = smallMemory();
  const load = new LinkLoad(memory);
  let nowMs = 0;
  /** So many looks at a link that waits, or does not. Returns what clients are told then. */
  const look = (count: number, doWait: boolean): boolean => {
    const peer = { state: 'replicate', queuedMs: doWait ? LINK_QUEUED_MS : 0, next: LINK_UNDER_WAY_BYTES, verified: 0 };
    const leadership = { peers: new Map([[2, peer]]) } as unknown as Leadership;
    for (let i = 0; i < count; i += 1) {
      load.look(leadership, nowMs);
      nowMs += LOOK_MS;
    }
    return memory.word32(STATE.LINKS_WAIT) !== 0;
  };
  return { load, look, isTold: () => memory.word32(STATE.LINKS_WAIT) !== 0 };
}

it('a leader that leads no longer forgets that its links waited: in its next office it begins anew', () => {
  const { load, look, isTold } = setUp();
  let looks = 0;
  while (!look(1, true)) looks += 1;
  expect(looks).toBeGreaterThan(3);
  look(20, true);
  load.clear();
  expect(isTold()).toBe(false);
  expect(look(looks, true)).toBe(false);
  expect(look(1, true)).toBe(true);
});
