// What a mirror takes of a source, entry by entry: all that a leader writes, and nothing else. Whatever a source sends, it is a sentence, and no trace.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { KIND_CONTINUED, KIND_NOOP, KIND_SEAL, KIND_STATE, KIND_TRIM } from '../../assembly/layout.ts';
import { configure } from '../../src/core/config.ts';
import { asProperties } from '../../src/core/giving.ts';
import { NO_TERM } from '../../src/core/ids.ts';
import { MAX_TERM } from '../../src/core/limits.ts';
import { NO_ACCESS } from '../../src/format/access.ts';
import { NO_MEMBERS } from '../../src/format/configuration.ts';
import { NO_CONSUMERS } from '../../src/format/consumers.ts';
import { NO_POLICY, NO_SEAL, NO_TRIM, sealPayload, trimPayload } from '../../src/format/controlEntries.ts';
import { NO_SESSIONS } from '../../src/format/sessions.ts';
import { type LogState, stateBytes, writeState } from '../../src/format/stateEntry.ts';
import { WORD } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import { MirrorLog } from '../../src/mirror/mirrorLog.ts';
import { createIdentity, readIdentity, readVote } from '../../src/storage/dataDirectory.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { encodeEntry } from '../support/entryTwin.ts';

const CLUSTER = 'ab'.repeat(16);
const LEADER = new Uint8Array(8).fill(5);
const STATE: LogState = {
  dataEnd: 0,
  before: NO_TERM,
  trim: NO_TRIM,
  timeMs: 1_700_000_000_000,
  level: 1,
  generation: { number: 1, id: 'aaaaaaaaaaaaaaaa' },
  seal: NO_SEAL,
  policy: NO_POLICY,
  access: NO_ACCESS,
  consumers: NO_CONSUMERS,
  nodes: NO_MEMBERS,
  sessions: NO_SESSIONS,
};

interface Opened {
  readonly log: MirrorLog;
  readonly memory: TailMemory;
  readonly said: string[];
  readonly directory: string;
}

/** An empty mirror. */
function open(): Opened {
  const directory = mkdtempSync(join(tmpdir(), 'loglog-mirror-log-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const memory = TailMemory.create({ segmentBytes: 65536, slots: 3 });
  const given = { clusterId: CLUSTER, mirror: { generation: STATE.generation.id, segmentBytes: 65536 } };
  const identity = createIdentity(new NodeDisk(), directory, new Uint8Array(32).fill(3), given);
  const recovered = {
    identity,
    start: 0,
    end: 0,
    lastTerm: 0,
    dataEnd: 0,
    terms: [],
    sealed: [],
    openBase: undefined,
    cutBytes: 0,
    commit: 0,
    isMarked: false,
    nodes: { configurations: [], removed: [], isUnknown: false },
  };
  new Tail(memory, () => undefined).start(0, 0, undefined);
  const said: string[] = [];
  const config = configure({ segmentBytes: 65536, slots: 3 }, asProperties());
  const events = {
    openSegment: () => undefined,
    seal: () => undefined,
    access: () => undefined,
    log: (_: string, text: string) => void said.push(text),
  };
  return { log: new MirrorLog({ memory, directory, recovered, config }, events), memory, said, directory };
}

/** Entries as a leader stamps them, one after the other. */
class Source {
  offset = 0;
  term = 1;
  #parts: Uint8Array[] = [];

  add(kind: number, payload: Uint8Array): this {
    const bytes = encodeEntry(payload, kind, { term: this.term, offset: this.offset });
    this.offset += bytes.length;
    this.#parts.push(bytes);
    return this;
  }

  data(bytes: number, isContinued = false): this {
    return this.add(isContinued ? KIND_CONTINUED : 0, new Uint8Array(bytes).fill(bytes));
  }

  lead(): this {
    return this.add(KIND_NOOP, LEADER);
  }

  state(change: Partial<LogState> = {}): this {
    const state = { ...STATE, ...change };
    const payload = new Uint8Array(stateBytes(state));
    writeState(new DataView(payload.buffer), 0, state);
    return this.add(KIND_STATE, payload);
  }

  /** What was added since the last call. */
  take(): Uint8Array {
    const bytes = new Uint8Array(Buffer.concat(this.#parts));
    this.#parts = [];
    return bytes;
  }
}

/** A mirror with a first segment, and its source. */
function begun(): Opened & { readonly source: Source } {
  const opened = open();
  const source = new Source().state().lead().data(100).data(50, true).data(7);
  expect(opened.log.store(source.take())).toEqual({ bytes: source.offset, why: undefined });
  expect(opened.log.end).toBe(source.offset);
  return { ...opened, source };
}

it('takes what leaders write: terms, batches, and segments where they begin', () => {
  const { log, memory, source, said, directory } = begun();
  const dataEnd = source.offset;
  source.term = 3;
  const before = { term: 1, leader: '05'.repeat(8) };
  source
    .state({ dataEnd, before, timeMs: STATE.timeMs + 5 })
    .lead()
    .data(9);
  const bytes = source.take();
  expect(log.store(bytes)).toEqual({ bytes: bytes.length, why: undefined });
  expect([memory.tail, memory.word(WORD.TERM), memory.dataEnd, log.timeMs]).toEqual([source.offset, 3, source.offset, STATE.timeMs + 5]);
  expect(log.lastEntry()).toEqual({ offset: source.offset - 21, bytes: bytes.subarray(-21) });
  expect(said).toEqual([]);
  expect(readVote(new NodeDisk(), directory)).toMatchObject({ currentTerm: 3, votedFor: 0 });
});

describe('refuses, and nothing of it leaves a trace:', () => {
  const wrong: [string, (source: Source) => unknown, RegExp][] = [
    [
      'an entry of another place',
      (source) => {
        source.offset += 1;
        source.data(5);
      },
      /is not what a leader writes there/,
    ],
    [
      'an entry of an earlier term',
      (source) => {
        source.term = 0;
        source.data(5);
      },
      /is of term 0, and the entry before it of term 1/,
    ],
    [
      'a term that begins without its no-op',
      (source) => {
        source.term = 2;
        source.data(5);
      },
      /is not what a leader writes there/,
    ],
    [
      'a term after the last',
      (source) => {
        source.term = MAX_TERM + 1;
        source.lead();
      },
      /terms end at 2147483647/,
    ],
    ['a batch that does not end', (source) => source.data(5, true), /a batch that does not end in its segment and term/],
    ['a batch that another segment goes on with', (source) => source.data(5, true).state(), /a batch that does not end/],
    [
      'a trim of what comes later',
      (source) => source.add(KIND_TRIM, trimPayload({ start: 10_000, dataEnd: 5 })),
      /speaks of offset 10000, which is after it/,
    ],
    [
      'a seal of what comes later',
      (source) => source.add(KIND_SEAL, sealPayload({ base: 0, end: 10_000, digest: '01'.repeat(32), before: '00'.repeat(32) })),
      /speaks of offset 10000/,
    ],
    ['a state that knows of later data', (source) => source.state({ dataEnd: 10_000 }), /speaks of offset 10000/],
    [
      'a state that is another one than here',
      (source) => source.state({ dataEnd: 5 }),
      /by its leader the state of the log is .* by this node it is/,
    ],
    ['a batch that is larger than a segment', (source) => source.data(70_000), /more than segments of 65536 bytes have room for/],
    ['a kind that is newer', (source) => source.add(60, new Uint8Array(4)), /is of kind 60, on which this LogLog does not act/],
  ];
  it.each(wrong)('%s', (_what, add, sentence) => {
    const { log, memory, source } = begun();
    const { end } = log;
    add(source);
    expect(log.store(source.take())).toEqual({ bytes: 0, why: expect.objectContaining({ message: expect.stringMatching(sentence) }) });
    expect([log.end, memory.dataEnd]).toEqual([end, end]);
    // What is right goes on there.
    source.offset = end;
    source.term = 1;
    source.data(3);
    expect(log.store(source.take())).toEqual({ bytes: 15, why: undefined });
  });

  it('what is before it is stored all the same', () => {
    const { log, source } = begun();
    source.data(8);
    const right = source.offset;
    source.term = 2;
    source.data(8);
    expect(log.store(source.take())).toMatchObject({ bytes: 20, why: { code: 'DAMAGED', details: { offset: right } } });
  });
});

it('waits where no slot is free, and goes on when one is', () => {
  const { log, memory, source } = begun();
  for (let i = 0; i < 2; i += 1) {
    source.state({ dataEnd: source.offset, before: { term: 1, leader: '05'.repeat(8) } }).data(100);
    const bytes = source.take();
    expect(log.store(bytes).why).toBeUndefined();
  }
  const { end } = log;
  source.state({ dataEnd: source.offset, before: { term: 1, leader: '05'.repeat(8) } }).data(100);
  const bytes = source.take();
  expect(log.store(bytes)).toEqual({ bytes: 0, why: 'full' });
  expect(log.end).toBe(end);
  memory.setSlotState(0, 0);
  expect(log.store(bytes)).toEqual({ bytes: bytes.length, why: undefined });
});

it('a log of level 0 is taken as it is: its segments are as long as there is room', () => {
  const { log, memory } = open();
  const source = new Source().lead();
  for (let i = 0; i < 12; i += 1) source.data(6_000);
  const bytes = source.take();
  expect(log.store(bytes)).toEqual({ bytes: bytes.length, why: undefined });
  expect([memory.word(WORD.LOG_LEVEL), memory.openSlot]).toEqual([0, 1]);
});

it('a generation that was not known is kept', () => {
  const { log, directory } = open();
  log.saveSource({ generation: '12'.repeat(8) });
  expect(log.source).toEqual({ generation: '12'.repeat(8), segmentBytes: 65536 });
  expect(readIdentity(new NodeDisk(), directory)?.mirror).toEqual(log.source);
});
