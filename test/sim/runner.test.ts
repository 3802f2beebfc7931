// The runner of seeds: nothing done is never a success, and a run may take as long as it needs.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type RunOptions, type RunResult, runSeeds, verdictOf } from './runner.ts';

const directories: string[] = [];

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

const SAY = 'const say = (report) => console.log(JSON.stringify(report));';

/** Runs a program that stands in for the one that simulates. */
function run(source: string, options: Partial<RunOptions> = {}): Promise<RunResult> {
  const directory = mkdtempSync(join(tmpdir(), 'loglog-runner-'));
  directories.push(directory);
  const program = join(directory, 'seeds.mjs');
  writeFileSync(program, `${SAY}\n${source}`);
  return runSeeds({ program, from: 1, count: 4, jobs: 1, ...options });
}

describe('a run of seeds', () => {
  it('is a success only when each seed was run to its end', async () => {
    const result = await run('for (let seed = 1; seed < 5; seed += 1) say({ kind: "seed", seed, hash: 1 });');
    expect(verdictOf(result, 4)).toEqual({ isGood: true, sentence: 'every promise is kept' });
  });

  it.each([
    ['does nothing', ''],
    ['stops before the end', 'say({ kind: "seed", seed: 1, hash: 1 }); say({ kind: "seed", seed: 2, hash: 1 });'],
    ['dies', 'say({ kind: "seed", seed: 1, hash: 1 }); process.exitCode = 3;'],
  ])('is none when the program %s', async (_what, source) => {
    const { isGood, sentence } = verdictOf(await run(source), 4);
    expect(isGood).toBe(false);
    expect(sentence).toMatch(/^only \d of 4 seeds ran to their end/);
  });

  it('goes on for as long as seeds are done, and ends when one hangs', async () => {
    const source =
      'let seed = 1; const timer = setInterval(() => { if (seed < 5) say({ kind: "seed", seed: seed++, hash: 1 }); else clearInterval(timer); }, 400);';
    expect(verdictOf(await run(source, { silentMs: 10_000 }), 4).isGood).toBe(true);
    const hung = await run('say({ kind: "seed", seed: 1, hash: 1 }); setInterval(() => {}, 1000);', { silentMs: 1_000 });
    expect(hung.crashes).toEqual([expect.stringContaining('SIGKILL')]);
    expect(verdictOf(hung, 4).isGood).toBe(false);
  });

  it('is none when a promise was broken', async () => {
    const failure = '{ kind: "failure", seed: 1, invariant: "one log", sentence: "no", atMs: 1 }';
    const result = await run(`for (let seed = 1; seed < 5; seed += 1) say({ kind: "seed", seed, hash: 1 }); say(${failure});`);
    expect(verdictOf(result, 4)).toEqual({ isGood: false, sentence: '1 seeds BREAK a promise' });
  });
});
