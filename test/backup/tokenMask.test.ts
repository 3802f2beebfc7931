// Backups of logs with tokens, on a disk in memory: what is in them, and what a restored log says of its tokens and of its own segments.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ENTRY_HEADER_BYTES, KIND_ACCESS, KIND_SEAL, KIND_STATE, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import type { Manifest } from '../../src/backup/manifest.ts';
import { RESTORE_RANDOM_BYTES, restore } from '../../src/backup/restore.ts';
import { withoutTokens } from '../../src/backup/tokenMask.ts';
import { verifyBackup } from '../../src/backup/verifyBackup.ts';
import { NO_QUOTAS, type TokenRecord } from '../../src/core/access.ts';
import { fromHex, viewOf } from '../../src/core/bytes.ts';
import { type AccessChange, accessPayload, foldAccess, NO_ACCESS, tokensIn } from '../../src/format/access.ts';
import { NO_DIGEST, NO_SEAL, readSeal, type Seal, sealPayload } from '../../src/format/controlEntries.ts';
import { foldControl } from '../../src/format/controlFold.ts';
import { entryBytesOf, kindOf, kindSizeAt, payloadBytesOf } from '../../src/format/entry.ts';
import { type LogState, readState } from '../../src/format/stateEntry.ts';
import { readFile } from '../../src/storage/disk.ts';
import { segmentName } from '../../src/storage/names.ts';
import { examineDirectory } from '../../src/storage/offline.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY } from '../crash/testNode.ts';
import { NEW_STATE } from '../support/logState.ts';
import { contents, FakeLog, FOLDER, run, workspace } from './support.ts';

const RECORD: TokenRecord = {
  id: '0000000000z',
  hash: 'ab'.repeat(32),
  name: 'the billing job',
  scopes: 5,
  createdMs: 1_600_000_000_001,
  expiresMs: 0,
  quotas: { ...NO_QUOTAS, waits: 77, bytesInPerSecond: 123_456 },
};
const OTHER: TokenRecord = { ...RECORD, id: '0000000000y', hash: 'cd'.repeat(32), name: 'other' };

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const put = (record: TokenRecord, isRequest = false): AccessChange => ({ what: 'put', record, isRequest });

/** Four segments, of which the log seals the first three; tokens are made, one is revoked, and state entries have what is left. */
function tokenLog(): FakeLog {
  const log = new FakeLog();
  log.term = 1;
  let access: Uint8Array = NO_ACCESS;
  let seal = NO_SEAL;
  const change = (next: AccessChange): void => {
    log.control(KIND_ACCESS, accessPayload(next));
    access = foldAccess(access, next);
  };
  const begin = (): void => void log.head({ ...NEW_STATE, dataEnd: log.end, access, seal, before: { term: 1, leader: '01'.repeat(8) } });
  const roll = (): void => {
    log.seal();
    begin();
    const { base, end } = log.segments.at(-1) ?? NO_SEAL;
    const next: Seal = { base, end, digest: sha256(log.bytes(base, end)) };
    log.control(KIND_SEAL, sealPayload({ ...next, before: seal.digest }));
    seal = next;
  };
  log.head(NEW_STATE).lead(1).append([100]);
  // Nothing of tokens is in the first segment: its bytes, and so its seal, stay.
  roll();
  change(put(RECORD, true));
  change(put(OTHER));
  log.append([50], [40, 30]);
  roll();
  change({ what: 'remove', id: OTHER.id });
  roll();
  return log.append([60]);
}

const backup = (disk: MemoryDisk, log: FakeLog, tokens = false): ReturnType<typeof run> => run(disk, log, undefined, tokens);

/** What a thing holds that lets its reader know anything of the two tokens but their ids. */
function toldBy(bytes: Buffer): string[] {
  const told = [RECORD, OTHER].flatMap(({ hash, name }) => [Buffer.from(fromHex(hash)), Buffer.from(name)]);
  return told.filter((part) => bytes.includes(part)).map(String);
}

interface Control {
  readonly offset: number;
  readonly kind: number;
  readonly state: LogState | undefined;
  readonly seal: Seal | undefined;
  /** As everything before says. */
  readonly folded: LogState;
}

/** The seals and state entries of a log's bytes from offset 0 on, with what the entries before them fold to. */
function controls(bytes: Uint8Array): Control[] {
  const view = viewOf(bytes);
  const found: Control[] = [];
  let folded: LogState = NEW_STATE;
  for (let at = 0; at < bytes.length; at += entryBytesOf(kindSizeAt(view, at))) {
    const kindSize = kindSizeAt(view, at);
    const [kind, from, size] = [kindOf(kindSize), at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize)];
    const state = kind === KIND_STATE ? readState(view, from, size) : undefined;
    const seal = kind === KIND_SEAL ? readSeal(view, from, size) : undefined;
    if (state !== undefined || seal !== undefined) found.push({ offset: at, kind, state, seal, folded });
    if (kind !== 0) folded = foldControl(folded, view, at, kindSize);
  }
  return found;
}

function restored(disk: MemoryDisk, manifest: Manifest, isSameCluster: boolean): { readonly bases: number[]; readonly bytes: Buffer } {
  const random = new Uint8Array(RESTORE_RANDOM_BYTES).fill(9);
  restore(disk, FOLDER, manifest, DIRECTORY, workspace, { nodeId: 1, isSameCluster, random, nowMs: NEW_STATE.timeMs });
  const { damage, segments } = examineDirectory(disk, DIRECTORY, { everyEntry: true });
  expect(damage).toEqual([]);
  const parts = segments.map(({ base, end }) =>
    readFile(disk, `${DIRECTORY}/${segmentName(base)}`).subarray(SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + end - base),
  );
  return { bases: segments.map(({ base }) => base), bytes: Buffer.concat(parts) };
}

describe('a backup that was not asked for tokens', () => {
  it('has the same entries at the same offsets, and of tokens only their ids', async () => {
    const [disk, log] = [new MemoryDisk(), tokenLog()];
    const { manifest } = await backup(disk, log);
    const bytes = contents(disk, manifest);
    expect([bytes.length, toldBy(bytes), toldBy(log.bytes(0, log.end)).length]).toEqual([log.end, [], 4]);
    expect(manifest.tokens).toBe(undefined);
    const facts = verifyBackup(disk, FOLDER, { workspace });
    expect([facts.damage, facts.manifest]).toEqual([[], manifest]);
    const first = log.segments[0]?.end ?? 0;
    expect(bytes.subarray(0, first).equals(log.bytes(0, first))).toBe(true);
  });

  it('masks what is masked already as it is: a restored log is backed up with the same bytes', () => {
    const log = tokenLog();
    const once = withoutTokens(log.bytes(0, log.end), 0);
    expect(Buffer.from(withoutTokens(once, 0)).equals(once)).toBe(true);
    expect(Buffer.from(once).equals(log.bytes(0, log.end))).toBe(false);
  });

  it('goes on where the last entry was of a token, and finds a log that is another one there', async () => {
    const [disk, log] = [new MemoryDisk(), new FakeLog()];
    log.term = 1;
    log
      .head(NEW_STATE)
      .lead(1)
      .control(KIND_ACCESS, accessPayload(put(RECORD)));
    await backup(disk, log);
    const { manifest } = await backup(disk, log.append([10]));
    expect([manifest.end, toldBy(contents(disk, manifest))]).toEqual([log.end, []]);
    const other = new FakeLog();
    other.term = 1;
    other
      .head(NEW_STATE)
      .lead(1)
      .control(KIND_ACCESS, accessPayload(put(RECORD)))
      .append([9], [1_000]);
    await expect(backup(disk, other)).rejects.toThrow(/are not the same/);
  });

  it('is restored to a log whose state entries and seals are true of what it has now', async () => {
    const [disk, log] = [new MemoryDisk(), tokenLog()];
    const { manifest } = await backup(disk, log);
    const { bases, bytes } = restored(disk, manifest, true);
    expect([toldBy(bytes), bases.slice(0, 4)]).toEqual([[], [0, ...log.segments.map(({ end }) => end)]]);
    const found = controls(bytes);
    const seals = found.flatMap(({ seal }) => seal ?? []);
    expect(seals.map(({ base, end }) => ({ base, end }))).toEqual(log.segments);
    let before = NO_DIGEST;
    for (const seal of seals) {
      expect(seal).toEqual({ base: seal.base, end: seal.end, digest: sha256(bytes.subarray(seal.base, seal.end)), before });
      before = seal.digest;
    }
    const told = found.flatMap(({ state, folded }) => (state?.generation.number === 1 ? [{ state, folded }] : []));
    expect(told.map(({ state }) => state.seal)).toEqual(told.map(({ folded }) => folded.seal));
    expect(told.map(({ state }) => Buffer.from(state.access))).toEqual(told.map(({ folded }) => Buffer.from(folded.access)));
    expect(told.some(({ state }) => tokensIn(state.access).size === 2)).toBe(true);
    const last = found.at(-1)?.state;
    expect([last?.generation.number, last?.seal.digest, last?.access.length]).toEqual([2, before, 0]);
  });
});

describe('a backup with tokens', () => {
  it('has all bytes of the log, and so has what is restored of it in the same cluster', async () => {
    const [disk, log] = [new MemoryDisk(), tokenLog()];
    const { manifest } = await backup(disk, log, true);
    expect([manifest.tokens, contents(disk, manifest).equals(log.bytes(0, log.end))]).toEqual([true, true]);
    const { bytes } = restored(disk, manifest, true);
    expect(bytes.subarray(0, log.end).equals(log.bytes(0, log.end))).toBe(true);
    const last = controls(bytes).at(-1)?.state;
    expect([...tokensIn(last?.access ?? NO_ACCESS).values()]).toEqual([RECORD]);
  });

  it('leaves nothing of them but ids in a log of another cluster', async () => {
    const [disk, log] = [new MemoryDisk(), tokenLog()];
    const { manifest } = await backup(disk, log, true);
    expect(toldBy(restored(disk, manifest, false).bytes)).toEqual([]);
  });

  it('is not gone on with without, nor the other way: files of a backup never change', async () => {
    const log = tokenLog();
    for (const tokens of [true, false]) {
      const disk = new MemoryDisk();
      const { manifest } = await backup(disk, log, tokens);
      const before = disk.image();
      await expect(backup(disk, log.append([5]), !tokens)).rejects.toThrow(
        tokens ? /was begun with the tokens of the log; nothing was changed: go on with --tokens/ : /was begun without the tokens/,
      );
      expect([...disk.image()]).toEqual([...before]);
      expect((await backup(disk, log, tokens)).manifest.end).toBeGreaterThan(manifest.end);
    }
  });
});
