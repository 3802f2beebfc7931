// What becomes of a round when a scenario fails: it is recorded and cleared away, and only a mismatch ends the run. The scenarios are the
// test's.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isMismatch, LoadError } from '../../bench/processes/processes.ts';
import { type Findings, failureText, runRounds } from '../../bench/rounds.ts';
import type { Sizes } from '../../bench/sample.ts';
import type { Context, Scenario } from '../../bench/scenario.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'loglog-rounds-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function scenarioOf(name: string, fail: (context: Context) => void, prepare?: () => void): Scenario {
  return {
    name,
    about: '',
    takes: 'loglog',
    ...(prepare === undefined ? {} : { prepare: () => Promise.resolve(prepare()) }),
    async run(context) {
      fail(context);
      return [{ what: 'p50', value: context.round, unit: 'ms' }];
    },
  };
}

const good = scenarioOf('good', () => undefined);

function mismatch(): LoadError {
  return new LoadError('load check: entry 3 is missing', { lanes: [], isMismatch: true });
}

function run(scenarios: readonly Scenario[], keep: (findings: Findings) => void = () => undefined): Promise<Findings> {
  const sizes = {} as Sizes;
  return runRounds({ scenarios, runs: 2, patienceSeconds: 0, sizes, systems: [], folder, say: () => undefined, keep });
}

function names({ runs }: Findings): string[] {
  return runs.filter(({ samples }) => samples.length > 0).map(({ round, scenario }) => `${round} ${scenario}`);
}

describe('a scenario that fails', () => {
  const bad = scenarioOf('bad', (context) => {
    writeFileSync(join(context.folder, 'data'), 'left behind');
    if (context.round === 1) throw new Error('no node leads\nat some line');
  });

  it('is recorded, and costs the others and the other rounds nothing', async () => {
    const findings = await run([bad, good]);
    expect(names(findings)).toEqual(['1 good', '2 bad', '2 good']);
    expect(findings.failures.map(failureText)).toEqual(['bad failed in round 1: no node leads']);
  });

  it('leaves no data', async () => {
    let isThere: boolean | undefined;
    const after = scenarioOf('after', ({ round }) => {
      if (round === 1) isThere = existsSync(join(folder, 'bad'));
    });
    await run([bad, after]);
    expect(isThere).toBe(false);
  });

  it('is prepared again for the next round, and not run when that fails', async () => {
    let preparations = 0;
    const prepared = scenarioOf(
      'prepared',
      ({ round }) => {
        if (round === 1) throw new Error('it ended');
      },
      () => {
        preparations += 1;
        if (preparations === 2) throw new Error('the disk is full');
      },
    );
    const findings = await run([prepared, good]);
    expect(names(findings)).toEqual(['1 good', '2 good']);
    expect(findings.failures.map(failureText)).toEqual([
      'prepared failed in round 1: it ended',
      'prepared failed in round 2: the disk is full',
    ]);
  });

  it('does not keep a round from being kept', async () => {
    const kept: number[] = [];
    await run([bad], ({ rounds }) => kept.push(rounds));
    expect(kept).toEqual([1, 2]);
  });
});

describe('a mismatch', () => {
  it('ends the run, however far from the judge it is told', async () => {
    const lying = scenarioOf('lying', () => {
      throw new Error('etcd 3.4, 100 B: it is missing', { cause: mismatch() });
    });
    const reached = scenarioOf('reached', () => expect.unreachable());
    const thrown: unknown = await run([lying, reached]).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ message: 'lying: etcd 3.4, 100 B: it is missing' });
    expect(isMismatch(thrown)).toBe(true);
  });

  it('is one by what the load says of itself, not by its text', () => {
    expect(isMismatch(new LoadError('Mismatch: entry 3 is missing', { lanes: [], isMismatch: false }))).toBe(false);
    expect(isMismatch(mismatch())).toBe(true);
    expect(isMismatch('Mismatch')).toBe(false);
  });
});
