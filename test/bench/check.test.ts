// A log that lies makes a scenario fail, whatever it measured: nodes and loads are those of the bench, the lies are the test's.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Limits } from '../../bench/machine/limits.ts';
import type { NodeUnderTest } from '../../bench/processes/node.ts';
import { patienceSeconds } from '../../bench/processes/patience.ts';
import { runLoad } from '../../bench/processes/processes.ts';
import type { Sizes } from '../../bench/sample.ts';
import { Context } from '../../bench/scenario.ts';
import { connect } from '../../src/client/index.ts';

const SIZES = { windowBytes: 1024 * 1024, segmentBytes: 4 * 1024 * 1024, slots: 4, isChecked: true } as Sizes;
const BYTES = 100;
const ENTRIES = 1000;

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'loglog-check-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function makeContext(sizes = SIZES): Context {
  const say = (): void => undefined;
  return new Context({
    sizes,
    limits: new Limits(sizes, folder, say),
    systems: [],
    round: 1,
    folder: join(folder, 'own'),
    written: new Map(),
    say,
  });
}

async function appendSomethingElse(node: NodeUnderTest): Promise<void> {
  const log = await connect(node.url);
  await log.append('something else');
  await log.close();
}

describe('a scenario with --check', () => {
  it('reads everything back, over a restart and several loads', async () => {
    const context = makeContext();
    await context.withNode(async (node) => {
      await context.fill(node, BYTES, ENTRIES);
      await node.restart();
      await context.fill(node, 10 * BYTES, ENTRIES);
    });
    expect(context.loads.at(-1)).toMatchObject({ load: 'check', result: { checkedEntries: 2 * ENTRIES } });
  });

  it('fails when something is there that no load appended', async () => {
    const context = makeContext();
    const lying = context.withNode(async (node) => {
      await context.fill(node, BYTES, ENTRIES);
      await appendSomethingElse(node);
    });
    const message = expect.stringContaining(`14 bytes that were never appended stand in place ${ENTRIES}`);
    await expect(lying).rejects.toMatchObject({ message, isMismatch: true });
  });

  it('fails when something that was acknowledged is missing', async () => {
    const context = makeContext();
    const empty = await context.startNode();
    try {
      const lying = context.withNode(async (node) => {
        await context.fill(node, BYTES, ENTRIES);
        await context.check(node, empty.urls);
      });
      await expect(lying).rejects.toThrow('entry 0 is missing: the log ends after 0 entries');
    } finally {
      await empty.remove();
    }
  });

  it('knows what is surely there when a load failed', async () => {
    const context = makeContext();
    await context.withNode(async (node) => {
      const append = context.loadOn(node, 'append', { payloadBytes: BYTES, warmUpSeconds: 0, seconds: 60, entries: 0, batchEntries: 3 });
      const message = expect.stringContaining('was lost before this append was acknowledged');
      const failed = expect(append).rejects.toMatchObject({ message, isMismatch: false });
      while ((await node.commit()) < 2 * SIZES.windowBytes);
      await node.kill();
      await failed;
      await node.restart();
      const [lane] = context.writtenTo(node).lanes;
      expect(lane?.lost).toEqual([{ from: expect.any(Number), to: lane?.sent, outcome: 'unknown' }]);
      expect(lane?.lost[0]?.from).toBeGreaterThan(0);
    });
    expect(context.loads).toMatchObject([{ load: 'check' }]);
  });

  it('knows of each entry what became of it when the node is killed under load', async () => {
    const context = makeContext();
    await context.withNode(async (node) => {
      const cut = context.loadOn(node, 'cut', { payloadBytes: BYTES });
      // More than can be on its way, so that some are acknowledged.
      while ((await node.commit()) < 2 * SIZES.windowBytes);
      await node.kill();
      await cut;
      await node.restart();
    });
    const [cut, check] = context.loads.map(({ result }) => result) as [{ entries: number; lost: number }, { checkedEntries: number }];
    expect(cut.entries).toBeGreaterThan(0);
    expect(cut.lost).toBeGreaterThan(0);
    expect(check.checkedEntries).toBeGreaterThanOrEqual(cut.entries);
    expect(check.checkedEntries).toBeLessThanOrEqual(cut.entries + cut.lost);
  });
});

describe('a load that hangs', () => {
  it('is ended, and named', async () => {
    const context = makeContext({ ...SIZES, isChecked: false });
    await context.withNode(async (node) => {
      // It goes on until its connection is lost, which nobody does.
      const log = { url: node.url, seed: 1, firstLane: 0 };
      const hanging = runLoad('cut', { log, payloadBytes: BYTES }, { seconds: 0.5 });
      await expect(hanging).rejects.toThrow('load cut: it did not end within 0.5 s, so it was killed');
    });
  });

  it('is given more time the more it has to do', () => {
    const append = { payloadBytes: 100, seconds: 0, warmUpSeconds: 0, entries: 1_000_000 };
    expect(patienceSeconds({})).toBe(120);
    expect(patienceSeconds({ ...append, entries: 0, seconds: 4, warmUpSeconds: 2 })).toBe(156);
    expect(patienceSeconds(append)).toBe(120 + 200 + 50);
    expect(patienceSeconds({ lanes: [append, append].map(({ entries, payloadBytes }) => ({ sent: entries, payloadBytes })) })).toBe(620);
  });
});

describe('a scenario without --check', () => {
  it('reads nothing back', async () => {
    const context = makeContext({ ...SIZES, isChecked: false });
    await context.withNode(appendSomethingElse);
    expect(context.loads).toEqual([]);
  });
});
