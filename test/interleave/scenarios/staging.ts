// Staging: the main thread fills rows and lets them go, the raft thread takes what is whole and puts it to its place. What one does may come between any
// two looks of the other at a row's state; beside that they send each other messages, which are read in order.

import { createHash } from 'node:crypto';
import { assert } from '../../../src/core/assert.ts';
import { NO_INSTANCE } from '../../../src/core/ids.ts';
import { STAGED_CHECK_MS, STAGED_MS, STAGING_BLOCK_BYTES } from '../../../src/core/uploadLimits.ts';
import { Tail } from '../../../src/memory/tail.ts';
import type { TailMemory } from '../../../src/memory/tailMemory.ts';
import type { Uploader } from '../../../src/node/uploadPorts.ts';
import { Uploads } from '../../../src/node/uploads.ts';
import { encodeReference } from '../../../src/protocol/peer.ts';
import { Staged } from '../../../src/replication/staged.ts';
import { stampBatch } from '../../crash/batches.ts';
import type { Scenario } from '../explorer.ts';
import { stateOfRow } from '../hooks.ts';
import type { Body, PlainRanges } from '../threads.ts';
import { SMALL, SMALL_TWIN } from './batches.ts';
import { NO_PORTS } from './replicas.ts';

/** A row for each block, and the blocks: as in src/memory/staging.ts. */
const ROW_BYTES = 32;
const ROWS = 2;
const STAGING = new SharedArrayBuffer(ROWS * (ROW_BYTES + STAGING_BLOCK_BYTES));

/** What the threads do not use as words: rows but for their states, and the first bytes of each block. */
function plainOfStaging(): PlainRanges {
  const bytes = Buffer.from(STAGING);
  const blocks = Array.from({ length: ROWS }, (_, row) => {
    const at = ROWS * ROW_BYTES + row * STAGING_BLOCK_BYTES;
    return bytes.subarray(at, at + SMALL.length);
  });
  return [bytes.subarray(0, ROWS * ROW_BYTES), ...blocks];
}

const [FIRST, OTHER, THIRD] = [1, 2, 3].map((number) => new Uint8Array(16).fill(number)) as [Uint8Array, Uint8Array, Uint8Array];

class TestUploader implements Uploader {
  isClosed = false;
  readonly wholeIds = new Set<number>();

  sendUploaded(requestId: number): void {
    this.wholeIds.add(requestId);
  }

  sendError(): void {
    // A refusal is no more than that here.
  }
}

/** The real Uploads, on a loop whose time the scenario moves. */
class TestUploads {
  readonly uploads: Uploads;
  readonly #turns: (() => void)[] = [];
  #checks: (() => void)[] = [];
  #nowMs = 0;
  #nextId = 1;

  constructor() {
    this.uploads = new Uploads({
      loop: {
        nowMs: () => this.#nowMs,
        after: (_, run) => {
          this.#checks.push(run);
          return { cancel: () => undefined };
        },
        afterTurn: (run) => void this.#turns.push(run),
      },
      stagingBytes: ROWS * STAGING_BLOCK_BYTES,
      maxBatchBytes: STAGING_BLOCK_BYTES,
      staging: (shared) => assert(shared === STAGING, 'there is one staging memory'),
      staged: () => undefined,
    });
  }

  /** A client puts all of an upload here, in a turn of its own, and it is announced. Whether that is taken. */
  put(caller: TestUploader, id: Uint8Array, entries: Uint8Array): boolean {
    const requestId = this.#nextId;
    this.#nextId += 1;
    this.uploads.take({ caller, requestId, id, at: 0, total: entries.length, chunk: entries });
    for (const run of this.#turns.splice(0)) {
      run();
      this.uploads.announced();
    }
    return caller.wholeIds.has(requestId);
  }

  /** So much time passes; what is staged is looked at once after it. */
  pass(ms: number): void {
    this.#nowMs += ms;
    const checks = this.#checks;
    this.#checks = [];
    for (const run of checks) run();
  }
}

/** Between what the raft thread looks up and what it copies, the main thread may do anything. */
class SlowTail extends Tail {
  readonly #pause: () => void;
  /** It has no room, now. */
  isFull = false;
  /** The uploads that were taken and not placed. */
  refused = 0;

  constructor(memory: TailMemory, pause: () => void) {
    super(memory, () => undefined);
    this.#pause = pause;
  }

  override appendUpload(...all: Parameters<Tail['appendUpload']>): ReturnType<Tail['appendUpload']> {
    this.#pause();
    if (this.isFull) return 'full';
    const status = super.appendUpload(...all);
    if (status !== 'ordered') this.refused += 1;
    return status;
  }
}

/** What the raft thread tells the main thread: nothing yet, that it could not take the upload, that it put it to its place, or could not. */
const [NOTHING, NOT_TAKEN, PLACED, NOT_PLACED] = [0, 1, 2, 3];
/** The row of the first upload. */
const ROW = 0;

/** The raft thread is referred to the first upload. `mayDiffer`: another one of the same id may have come in its place; `isFull`: there is no room for it. */
function raft(mayDiffer: boolean, isFull: boolean): Body {
  return ({ memory, pause, ghost }) => {
    const toMain = ghost('what the raft thread says');
    let told = NOT_TAKEN;
    const staged = new Staged({
      ...NO_PORTS,
      placed: (_, isPlaced) => {
        told = isPlaced ? PLACED : NOT_PLACED;
      },
    });
    const tail = new SlowTail(memory, pause);
    tail.isFull = isFull;
    const digest = createHash('sha256')
      .update(stampBatch(SMALL, 1, 0))
      .digest();
    const body = encodeReference({ id: FIRST, digest, head: new Uint8Array(0) });
    return () => {
      staged.attach(STAGING);
      staged.staged([ROW]);
      const message = {
        ...({ kind: 'appendRequest', term: 1, round: 1, prevTerm: 1, prevOffset: 0, prevLeader: NO_INSTANCE, entriesTerm: 1 } as const),
        ...{ entriesLeader: NO_INSTANCE, end: SMALL.length, base: 0, commit: 0, referenceBytes: body.length },
      };
      staged.place(tail, message, [body], 1);
      assert(mayDiffer || tail.refused === 0, 'an upload that was taken stays what it is until it is done with');
      toMain.announce(told);
    };
  };
}

/** The main thread lets go of the first upload, whatever the raft thread does with it, and takes another one, of `second`. */
function main(second: Uint8Array, letGo: (uploads: TestUploads, caller: TestUploader) => void): Body {
  return ({ ghost }) => {
    const fromRaft = ghost('what the raft thread says');
    const test = new TestUploads();
    const [caller, other] = [new TestUploader(), new TestUploader()];
    test.put(caller, FIRST, SMALL);
    return () => {
      const { uploads } = test;
      letGo(test, caller);
      const isWhole = test.put(other, second, SMALL_TWIN) || test.put(other, second, SMALL_TWIN);
      const before = uploads.count - Number(isWhole);
      fromRaft.waitWhile(NOTHING);
      const told = fromRaft.get();
      if (told !== NOT_TAKEN) uploads.placed(ROW, told === PLACED);
      const isOther = second !== FIRST || told !== NOT_PLACED;
      assert(!isWhole || !isOther || uploads.count >= 1, 'an upload that nobody let go is there');
      assert(uploads.count <= before + Number(isWhole), 'nothing comes back');
      caller.isClosed = true;
      other.isClosed = true;
      uploads.closed(caller);
      uploads.closed(other);
      test.pass(2 * STAGED_MS);
      assert(uploads.count === 0 && uploads.stagedBytes === 0, 'what was staged goes');
    };
  };
}

const expires = (test: TestUploads): void => test.pass(STAGED_MS + STAGED_CHECK_MS);
const isOrderedHere = (test: TestUploads): void => test.uploads.ordered(FIRST);
/** The first client takes all the room, so that the next one may have some of it. */
const fills = (test: TestUploads, caller: TestUploader): void => void test.put(caller, THIRD, SMALL);

function scenario(name: string, second: Uint8Array, letGo: Parameters<typeof main>[1], isFull = false): Scenario {
  return {
    name,
    what: 'an upload is let go or placed, not both, and another one in its row is left alone',
    staging: STAGING,
    shared: Array.from({ length: ROWS }, (_, row) => stateOfRow(row)),
    plain: plainOfStaging,
    setUp: ({ memory }) => new Tail(memory, () => undefined).start(0, 0, undefined),
    threads: { main: main(second, letGo), raft: raft(second === FIRST, isFull) },
  };
}

export const STAGING_SCENARIOS: readonly Scenario[] = [
  scenario('expiry and placement', OTHER, expires),
  scenario('expiry and placement of the same id', FIRST, expires),
  scenario('eviction and placement', OTHER, fills),
  scenario('an upload that is ordered here', OTHER, isOrderedHere),
  scenario('expiry and no room', OTHER, expires, true),
  scenario('eviction and no room', OTHER, fills, true),
];
