// A log that lies makes a scenario fail, whatever it measured: nodes and loads are those of the bench, the lies are the test's.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Limits } from '../../bench/machine/limits.ts';
import { patienceSeconds } from '../../bench/processes/patience.ts';
import { runLoad } from '../../bench/processes/processes.ts';
import type { Sizes } from '../../bench/sample.ts';
import { Context, type LogUnderTest } from '../../bench/scenario.ts';
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

async function appendSomethingElse({ running }: LogUnderTest): Promise<void> {
  const client = await connect(running.urls);
  await client.append('something else');
  await client.close();
}

describe('a scenario with --check', () => {
  it('reads everything back, over a restart and several loads', async () => {
    const context = makeContext();
    await context.withNode(async (log) => {
      await log.fill(BYTES, ENTRIES);
      await log.restart();
      await log.fill(10 * BYTES, ENTRIES);
    });
    expect(context.loads.at(-1)).toMatchObject({ load: 'check', result: { checkedEntries: 2 * ENTRIES } });
  });

  it('fails when something is there that no load appended', async () => {
    const context = makeContext();
    const lying = context.withNode(async (log) => {
      await log.fill(BYTES, ENTRIES);
      await appendSomethingElse(log);
    });
    const message = expect.stringContaining(`14 bytes that were never appended stand in place ${ENTRIES}`);
    await expect(lying).rejects.toMatchObject({ message, isMismatch: true });
  });

  it('fails when something that was acknowledged is missing', async () => {
    const context = makeContext();
    const empty = await context.startLogLog({ nodes: 1 });
    try {
      const lying = context.withNode(async (log) => {
        await log.fill(BYTES, ENTRIES);
        await log.check(empty.running.urls);
      });
      await expect(lying).rejects.toThrow('entry 0 is missing: the log ends after 0 entries');
    } finally {
      await context.remove(empty);
    }
  });

  it('knows what is surely there when a load failed', async () => {
    const context = makeContext();
    await context.withNode(async (log) => {
      const append = log.load('append', { payloadBytes: BYTES, warmUpSeconds: 0, seconds: 60, entries: 0, batchEntries: 3 });
      const message = expect.stringContaining('was lost before this append was acknowledged');
      const failed = expect(append).rejects.toMatchObject({ message, isMismatch: false });
      while ((await log.running.commit()) < 2 * SIZES.windowBytes);
      await log.running.end(1, 'SIGKILL');
      await failed;
      await log.running.start(1);
      const [lane] = log.written.lanes;
      expect(lane?.lost).toEqual([{ from: expect.any(Number), to: lane?.sent, outcome: 'unknown' }]);
      expect(lane?.lost[0]?.from).toBeGreaterThan(0);
    });
    expect(context.loads).toMatchObject([{ load: 'check' }]);
  });

  it('knows of each entry what became of it when the node is killed under load', async () => {
    const context = makeContext();
    await context.withNode(async (log) => {
      const cut = log.load('cut', { payloadBytes: BYTES });
      // More than can be on its way, so that some are acknowledged.
      while ((await log.running.commit()) < 2 * SIZES.windowBytes);
      await log.running.end(1, 'SIGKILL');
      await cut;
      await log.running.start(1);
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
    await context.withNode(async (log) => {
      // It goes on until its connection is lost, which nobody does.
      const target = log.written.target(await log.running.target(), 1);
      const hanging = runLoad('cut', { log: target, payloadBytes: BYTES }, { seconds: 0.5 });
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
