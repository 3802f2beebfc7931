// The WebAssembly's walks against their TypeScript twin, on a million inputs: result, every byte of output, and index points.
// LOGLOG_INPUTS says how many, LOGLOG_SEED which; input i is that of seed + i, so that a failing one is replayed alone.

import { expect, test } from 'vitest';
import { SCAN_VERIFY, SCAN_WHOLE_BATCHES, WALK_COMPLETE } from '../../assembly/layout.ts';
import { toHex } from '../../src/core/bytes.ts';
import type { Walk } from '../support/entryTwin.ts';
import { type Input, inputOf } from './inputs.ts';
import { clientScan, twinWalks, type Walks, wasmWalks } from './walks.ts';

const SEED = Number(process.env.LOGLOG_SEED ?? 1);
const INPUTS = Number(process.env.LOGLOG_INPUTS ?? 1_000_000);
const ENOUGH_FOR_COVERAGE = 100_000;
const TIMEOUT_MS = 60_000 + INPUTS / 5;

const byClient: Walks = { ...wasmWalks, scan: clientScan };

/** Runs the input's walk on `bytes`, which it changes. */
function run(walks: Walks, input: Input, bytes: Uint8Array): Walk {
  switch (input.walk) {
    case 'frame':
      return walks.frame(bytes);
    case 'stamp':
      return walks.stamp(bytes, input.options);
    case 'scan':
      return walks.scan(bytes, input.options);
    case 'stampOwn': {
      const { term, kind, payloadBytes, offset } = input.options;
      return {
        status: WALK_COMPLETE,
        count: 1,
        bytes: walks.stampOwn(bytes, term, kind, payloadBytes, offset),
        stopped: 0,
        lastTerm: term,
        dataEnd: 0,
        control: 0,
        points: [],
      };
    }
    case 'sameTermBytes':
      return {
        status: WALK_COMPLETE,
        count: 0,
        bytes: walks.sameTermBytes(bytes),
        stopped: 0,
        lastTerm: 0,
        dataEnd: 0,
        control: 0,
        points: [],
      };
  }
}

function sameWalk(a: Walk, b: Walk): boolean {
  return (
    a.status === b.status &&
    a.count === b.count &&
    a.bytes === b.bytes &&
    a.stopped === b.stopped &&
    a.lastTerm === b.lastTerm &&
    a.dataEnd === b.dataEnd &&
    a.control === b.control &&
    a.points.length === b.points.length &&
    a.points.every((point, at) => point === b.points[at])
  );
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false;
  return a.length === b.length;
}

/** What was stamped is a log: a scan from the same place finds the same entries and points. */
function scansBack(input: Input, stamped: Uint8Array, walk: Walk): boolean {
  if (input.walk !== 'stamp' || walk.status !== WALK_COMPLETE || walk.count === 0) return true;
  const { term, offset, filePosition, lastPoint } = input.options;
  const flags = SCAN_VERIFY | SCAN_WHOLE_BATCHES;
  return sameWalk(walk, wasmWalks.scan(stamped, { offset, minTerm: term, flags, filePosition, lastPoint, emitPoints: true }));
}

function failure(seed: number, input: Input, outcomes: object): Error {
  const { bytes, ...rest } = input;
  const replay = `LOGLOG_SEED=${seed} LOGLOG_INPUTS=1 npx vitest run test/assembly/differential.test.ts`;
  const shown = toHex(bytes.subarray(0, 2000));
  return new Error(
    `seed ${seed}: WebAssembly and twin differ\n${JSON.stringify({ ...rest, outcomes }, null, 1)}\ninput ${shown}\n${replay}`,
  );
}

/** Compares on one input; returns what the walk found. */
function compare(seed: number): { input: Input; walk: Walk } {
  const input = inputOf(seed);
  const ofWasm = input.bytes.slice();
  const ofTwin = input.bytes.slice();
  const twin = run(twinWalks, input, ofTwin);
  let wasm: Walk;
  try {
    wasm = run(input.walk === 'scan' && input.byClient ? byClient : wasmWalks, input, ofWasm);
  } catch (error) {
    throw failure(seed, input, { twin, wasm: String(error) });
  }
  if (!sameWalk(wasm, twin)) throw failure(seed, input, { twin, wasm });
  if (!sameBytes(ofWasm, ofTwin)) throw failure(seed, input, { twin: toHex(ofTwin), wasm: toHex(ofWasm) });
  if (!scansBack(input, ofWasm, wasm)) throw failure(seed, input, { stamped: wasm, scan: 'another outcome' });
  return { input, walk: twin };
}

test(`the WebAssembly and its twin agree on ${INPUTS} random and mutated inputs from seed ${SEED}`, { timeout: TIMEOUT_MS }, () => {
  const seen = new Map<string, number>();
  const see = (what: string): void => {
    seen.set(what, (seen.get(what) ?? 0) + 1);
  };
  for (let i = 0; i < INPUTS; i += 1) {
    const { input, walk } = compare((SEED + i) >>> 0);
    see(`${input.walk} ${walk.status}`);
    if (walk.points.length > 0) see(`${input.walk} with ${walk.points.length > 1 ? 'several points' : 'a point'}`);
    if (walk.status === WALK_COMPLETE && walk.bytes < input.bytes.length && walk.count > 0) see(`${input.walk} clipped`);
    if (walk.status !== WALK_COMPLETE && walk.count > 0) see(`${input.walk} bad after good`);
    if (walk.status === WALK_COMPLETE && walk.stopped > walk.bytes) see(`${input.walk} clipped inside a batch`);
    if (walk.status !== WALK_COMPLETE && walk.stopped > walk.bytes && walk.count > 0) see(`${input.walk} bad inside a batch`);
  }
  // The inputs reach every outcome that a walk can have, or they prove little.
  if (INPUTS < ENOUGH_FOR_COVERAGE) return;
  const frames = [0, 1].map((status) => `frame ${status}`);
  const stamps = [0, 1, 2, 3, 4, 5, 6, 7].map((status) => `stamp ${status}`);
  const scans = [0, 1, 2, 4, 5, 6].map((status) => `scan ${status}`);
  for (const outcome of [
    ...frames,
    ...stamps,
    ...scans,
    'scan clipped',
    'frame bad after good',
    'stamp bad after good',
    'scan bad after good',
    'scan clipped inside a batch',
    'scan bad inside a batch',
  ]) {
    expect(seen.get(outcome) ?? 0, `inputs with the outcome "${outcome}"`).toBeGreaterThan(INPUTS / 1000);
  }
  for (const walk of ['stamp', 'scan']) {
    expect(seen.get(`${walk} with a point`) ?? 0).toBeGreaterThan(INPUTS / 100);
    expect(seen.get(`${walk} with several points`) ?? 0).toBeGreaterThan(0);
  }
});
