// A log that begins shortly before the last offset, 2^53 - 1: it is filled, read, and started again, and says so when it is full.

import { expect, test } from 'vitest';
import { createIdentity, IDENTITY_RANDOM_BYTES, writeIdentity } from '../../src/storage/dataDirectory.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { connect, makeDirectory, startNode } from './support/fixture.ts';
import { codeOf, failureOf, type RawClient, type Refused } from './support/rawClient.ts';

const LAST = Number.MAX_SAFE_INTEGER;

test('entries in the last 4 KiB below offset 2^53 can be read, also after restarts, and a full log says that it is', async () => {
  const data = makeDirectory();
  const disk = new NodeDisk();
  const start = LAST - 8192;
  const random = Uint8Array.from({ length: IDENTITY_RANDOM_BYTES }, (_, i) => i);
  writeIdentity(disk, data, { ...createIdentity(disk, data, random), start, startTerm: 1, startLeader: 'f'.repeat(16), removeFrom: start });
  const written: { offset: number; end: number; text: string }[] = [];
  const fill = async (client: RawClient): Promise<Refused> => {
    for (let size = 100; ; size += 1) {
      const text = 'x'.repeat(size);
      const append = client.append(Buffer.from(text), written.length % 2 === 0 ? {} : { expectedEnd: written.at(-1)?.end ?? start });
      try {
        const { offset, end } = await append;
        written.push({ offset, end, text });
      } catch {
        return (await failureOf(append)) as Refused;
      }
    }
  };
  let node = await startNode({ data });
  for (let round = 0; round < 2; round += 1) {
    const client = await connect(node);
    expect(client.hello.start).toBe(start);
    const full = await fill(client);
    expect(full.answer).toMatchObject({ code: 'UNSUPPORTED', fatal: false });
    expect(full.answer.message).toBe('this log has come to the last offset that it can address, 2^53 - 1');
    expect(await codeOf(client.append(Buffer.alloc(2000)))).toBe('UNSUPPORTED');
    const { commit } = await client.end();
    expect(commit).toBeGreaterThan(LAST - 2048);
    expect(commit).toBeLessThanOrEqual(LAST);
    for (const { offset, end, text } of written) {
      const { entries } = await client.read(offset, { maxBytes: 1 });
      expect(entries.map((entry) => [entry.end, entry.payload.toString()])).toEqual([[end, text]]);
    }
    const subscription = client.subscribe(start, 1 << 20);
    await subscription.until(commit);
    expect(subscription.entries.filter(({ kind }) => kind === 0)).toHaveLength(written.length);
    expect((await node.stop()).code).toBe(0);
    node = await startNode({ data });
  }
  expect(written.filter(({ offset }) => offset > LAST - 4096).length).toBeGreaterThan(10);
});
