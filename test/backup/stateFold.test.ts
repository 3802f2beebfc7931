// What a restore makes of the control entries that it copies: the state entry of the next generation.

import { expect, it } from 'vitest';
import {
  ENTRY_HEADER_BYTES,
  KIND_ACCESS,
  KIND_CONFIGURATION,
  KIND_DATA,
  KIND_NOOP,
  KIND_POLICY,
  KIND_STATE,
  KIND_TIME,
  KIND_TRIM,
} from '../../assembly/layout.ts';
import { StateFold } from '../../src/backup/stateFold.ts';
import { NO_QUOTAS } from '../../src/core/access.ts';
import { viewOf } from '../../src/core/bytes.ts';
import type { Member } from '../../src/core/members.ts';
import { accessPayload, NO_ACCESS, tokensIn } from '../../src/format/access.ts';
import { configurationPayload, NO_MEMBERS } from '../../src/format/configuration.ts';
import { NO_CONSUMERS } from '../../src/format/consumers.ts';
import { NO_SEAL, policyPayload, TIME_PAYLOAD_BYTES, trimPayload, writeTime } from '../../src/format/controlEntries.ts';
import { kindSizeAt } from '../../src/format/entry.ts';
import { encodeOwnEntry } from '../../src/format/ownEntry.ts';
import { NO_SESSIONS } from '../../src/format/sessions.ts';
import { type LogState, readState, stateBytes, writeState } from '../../src/format/stateEntry.ts';
import { encodeEntry } from '../support/entryTwin.ts';

const STATE: LogState = {
  dataEnd: 900,
  before: { term: 3, leader: '0123456789abcdef' },
  trim: { start: 500, dataEnd: 400 },
  timeMs: 1_700_000_000_000,
  level: 1,
  generation: { number: 4, id: 'aaaaaaaaaaaaaaaa' },
  seal: NO_SEAL,
  policy: { bytes: 0, ageMs: 0 },
  access: NO_ACCESS,
  consumers: NO_CONSUMERS,
  nodes: NO_MEMBERS,
  sessions: NO_SESSIONS,
};
const SOLE = { id: 4, instance: '4444444444444444' };
const AFTER = { term: 7, leader: 'fedcba9876543210' };

function statePayload(state: LogState): Uint8Array {
  const payload = new Uint8Array(stateBytes(state));
  writeState(viewOf(payload), 0, state);
  return payload;
}

function timePayload(timeMs: number): Uint8Array {
  const payload = new Uint8Array(TIME_PAYLOAD_BYTES);
  writeTime(viewOf(payload), 0, timeMs);
  return payload;
}

/** The state that the next generation begins with, after entries of these kinds and payloads from offset 1000 on. */
function after(...entries: readonly (readonly [kind: number, payload: Uint8Array])[]): LogState | undefined {
  return stateAfter(true, ...entries);
}

function stateAfter(keepsTokens: boolean, ...entries: readonly (readonly [kind: number, payload: Uint8Array])[]): LogState | undefined {
  const fold = new StateFold();
  let offset = 1_000;
  for (const [kind, payload] of entries) {
    const entry = encodeEntry(payload, kind, { term: 7, offset });
    fold.absorb(viewOf(entry), 0, kindSizeAt(viewOf(entry), 0), offset);
    offset += entry.length;
  }
  const payload = fold.nextGeneration(AFTER, 'bbbbbbbbbbbbbbbb', keepsTokens, SOLE);
  expect(payload === undefined).toBe(!fold.isKnown);
  return payload && readState(viewOf(payload), 0, payload.length);
}

it('it is the state of the last state entry and what came after it, in the next generation', () => {
  const generation = { number: 5, id: 'bbbbbbbbbbbbbbbb' };
  const next = { ...STATE, before: AFTER, generation };
  expect(after([KIND_STATE, statePayload(STATE)])).toEqual(next);
  expect(after([KIND_STATE, statePayload(STATE)], [KIND_NOOP, new Uint8Array(8)])).toEqual(next);
  const size = 12 + statePayload(STATE).length;
  expect(after([KIND_STATE, statePayload(STATE)], [KIND_DATA, new Uint8Array(5)])).toEqual({ ...next, dataEnd: 1_000 + size + 17 });
  const many = after(
    [KIND_DATA, new Uint8Array(5)],
    [KIND_STATE, statePayload({ ...STATE, timeMs: 5 })],
    [KIND_TRIM, trimPayload({ start: 800, dataEnd: 700 })],
    [KIND_TRIM, trimPayload({ start: 600, dataEnd: 600 })],
    [KIND_POLICY, policyPayload({ bytes: 10, ageMs: 20 })],
    [KIND_TIME, timePayload(9)],
    [KIND_TIME, timePayload(7)],
  );
  expect(many).toEqual({ ...next, trim: { start: 800, dataEnd: 700 }, policy: { bytes: 10, ageMs: 20 }, timeMs: 9 });
  expect(after([KIND_STATE, statePayload(STATE)], [KIND_STATE, statePayload({ ...STATE, dataEnd: 950 })])).toEqual({
    ...next,
    dataEnd: 950,
  });
});

it('its tokens are there as the entries say, or none of them', () => {
  const record = { id: '0000000000z', hash: 'ab'.repeat(32), name: 'a', scopes: 5, createdMs: 1, expiresMs: 0, quotas: NO_QUOTAS };
  const put = accessPayload({ what: 'put', record, isRequest: true });
  const entries = [
    [KIND_STATE, statePayload(STATE)],
    [KIND_ACCESS, put],
  ] as const;
  expect([...tokensIn(stateAfter(true, ...entries)?.access ?? NO_ACCESS).values()]).toEqual([record]);
  expect(stateAfter(false, ...entries)?.access).toEqual(NO_ACCESS);
});

it('where the log says which nodes it has, it has one from there on', () => {
  const [first, second] = [1, 2].map((id): Member => ({ ...SOLE, id, role: 'voter', host: 'h', port: 1, peerPort: 2 }));
  if (first === undefined || second === undefined) throw new Error('there are two');
  const nodes = { members: [first, second], removed: [{ id: 3, instance: '3333333333333333' }] };
  const sole: Member = { ...SOLE, role: 'voter', host: '', port: 0, peerPort: 0 };
  const state = { ...STATE, level: 2 };
  expect(after([KIND_STATE, statePayload({ ...state, nodes })])?.nodes).toEqual({ members: [sole], removed: [] });
  expect(after([KIND_STATE, statePayload(state)], [KIND_CONFIGURATION, configurationPayload([first])])?.nodes.members).toEqual([sole]);
  expect(after([KIND_STATE, statePayload(state)])?.nodes).toEqual(NO_MEMBERS);
});

it('a log without state entries has no generations, whatever else it says', () => {
  expect(after([KIND_TIME, timePayload(9)], [KIND_POLICY, policyPayload({ bytes: 10, ageMs: 20 })])).toBeUndefined();
  expect(after([KIND_DATA, new Uint8Array(5)], [KIND_NOOP, new Uint8Array(8)])).toBeUndefined();
});

it('an entry of the own is that of the twin, byte for byte', () => {
  for (const [kind, bytes, term, offset] of [
    [KIND_NOOP, 8, 1, 0],
    [KIND_STATE, 111, 2 ** 20, 123_456_789],
    [KIND_TIME, 0, 2 ** 31 - 1, Number.MAX_SAFE_INTEGER],
  ] as const) {
    const payload = new Uint8Array(bytes).map((_, i) => i * 7);
    expect(encodeOwnEntry(kind, payload, term, offset)).toEqual(encodeEntry(payload, kind, { term, offset }));
    expect(encodeOwnEntry(kind, payload, term, offset).subarray(ENTRY_HEADER_BYTES, ENTRY_HEADER_BYTES + bytes)).toEqual(payload);
  }
});
