// A mirror whose disk has lost something of a sealed segment has it from its source, and nothing that is not the segment that it had.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import type { LogError } from '../../dist/src/core/errors.js';
import { segmentName } from '../../dist/src/storage/names.js';
import { eventually, payloadOf } from '../server/support/fixture.ts';
import { bytesIn, client, directory, Lines, mirrorOf, startNode, statusOf, stop } from './support.ts';

const ENTRIES = 40;

/** A source, and the directory of a stopped mirror of all of it. */
async function stoppedMirror() {
  const source = await startNode();
  const log = await client(source.url);
  const receipts = await Promise.all(Array.from({ length: ENTRIES }, (_, i) => log.append(payloadOf(5_000, i))));
  const data = directory();
  const mirror = await mirrorOf(source.url, data);
  const end = receipts.at(-1)?.end ?? 0;
  await eventually(() => mirror.status().log.durable >= end, 'the mirror has all of it');
  const [first] = mirror.engine.segments.sealed;
  if (first === undefined) throw new Error('it has sealed segments');
  await stop(mirror);
  return { source, data, end, first };
}

function flip(path: string, position: number): void {
  const bytes = readFileSync(path);
  bytes[position] = (bytes[position] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

async function countOf(url: string): Promise<number> {
  const reader = await client(url);
  let count = 0;
  for await (const _ of reader.read()) count += 1;
  return count;
}

test('what is damaged of a sealed segment of a mirror comes from its source, and the damaged file is kept', async () => {
  const { source, data, end, first } = await stoppedMirror();
  const path = join(data, segmentName(first.base));
  flip(path, SEGMENT_HEADER_BYTES + 20_000);
  const damaged = readFileSync(path);
  const lines = new Lines();
  const mirror = await mirrorOf(source.url, data, {}, lines);
  // A read that meets it waits for that.
  await eventually(() => statusOf(mirror).isConnected, 'the mirror follows');
  expect(await countOf(mirror.url)).toBe(ENTRIES);
  expect(mirror.engine.damages.status).toMatchObject({ damaged: 0, found: 1, healed: 1 });
  expect(lines.has('was healed with the copy of the source')).toBe(true);
  await stop(mirror);
  expect(bytesIn(data, 0, end).equals(bytesIn(source.engine.directory, 0, end))).toBe(true);
  expect(readFileSync(`${path}.damaged`).equals(damaged)).toBe(true);
});

test('a mirror that cannot have it from its source says so, and serves the rest', async () => {
  const { source, data, end, first } = await stoppedMirror();
  const path = join(data, segmentName(first.base));
  for (const at of [path, join(source.engine.directory, segmentName(first.base))]) flip(at, SEGMENT_HEADER_BYTES + 20_000);
  const lines = new Lines();
  const mirror = await mirrorOf(source.url, data, {}, lines);
  await eventually(() => statusOf(mirror).isConnected, 'the mirror follows');
  expect(await countOf(mirror.url).catch((thrown: LogError) => thrown.code)).toBe('DAMAGED');
  expect(lines.texts.find((text) => text.includes('stays damaged'))).toMatch(
    /log offset \d+ stays damaged .*: the source has it damaged, too; the rest/,
  );
  const reader = await client(mirror.url);
  const from = first.end;
  let seenTo = from;
  for await (const { nextOffset } of reader.read({ from })) seenTo = nextOffset;
  expect(seenTo).toBe(end);
  expect(existsSync(`${path}.damaged`)).toBe(false);
});
