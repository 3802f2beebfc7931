// Runs seeds in processes of their own, several at once, and gathers what they find.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Invariant } from './violation.ts';

/** Megabytes for objects that soon go, which is most that a seed makes: fewer collections, some 4 % less time. */
const YOUNG_HEAP = '--max-semi-space-size=32';
/** One seed alone is over before code that is optimized early has paid for its making: a fifth less time. */
const BRIEF = ['--interrupt-budget=1000000', '--always-sparkplug'];

/** A seed that broke a promise. */
export interface FoundFailure {
  readonly seed: number;
  readonly invariant: Invariant;
  readonly sentence: string;
  readonly atMs: number;
}

export interface SeedHash {
  readonly seed: number;
  readonly hash: number;
}

/** Sums over all seeds of a run. */
export interface Totals {
  readonly seeds: number;
  readonly steps: number;
  readonly virtualMs: number;
  readonly committedBytes: number;
  readonly terms: number;
  readonly operations: number;
  /** Deaths of leaders while all was well, and how many of them were noticed for more than two election timeouts. */
  readonly deaths: number;
  readonly slowDeaths: number;
  /** Leaders that were stopped in order while all was well, and after how many of them another one led before an election timeout had passed. */
  readonly stops: number;
  readonly handOvers: number;
  /** How often each thing befell uploads; see coverage.ts. */
  readonly coverage: Readonly<Record<string, number>>;
}

/** What a process that runs seeds says, a line each. */
export type Report =
  | ({ readonly kind: 'failure' } & FoundFailure)
  | ({ readonly kind: 'seed' } & SeedHash)
  | ({ readonly kind: 'totals' } & Totals);

export interface RunOptions {
  /** The compiled `seeds.js`; default: the one beside this file, or what it compiles to. */
  readonly program?: string;
  readonly from: number;
  readonly count: number;
  readonly jobs: number;
  /** End at the first failure of each process. */
  readonly stopsAtFirst?: boolean;
  /** A process that says nothing for this long, within one seed that takes less than a second, hangs: it is killed. */
  readonly silentMs?: number;
  readonly onSeed?: (done: SeedHash) => void;
  readonly onFailure?: (failure: FoundFailure) => void;
}

export interface RunResult {
  readonly failures: readonly FoundFailure[];
  readonly hashes: ReadonlyMap<number, number>;
  readonly totals: Totals;
  /** Processes that did not do all they were told to, and what they wrote to their standard error. */
  readonly crashes: readonly string[];
}

/** What a run proves, in words: that nothing failed says something only of the seeds that were run to their end. */
export function verdictOf({ failures, hashes }: RunResult, count: number): { readonly isGood: boolean; readonly sentence: string } {
  if (failures.length > 0) return { isGood: false, sentence: `${failures.length} seeds BREAK a promise` };
  if (hashes.size < count)
    return { isGood: false, sentence: `only ${hashes.size} of ${count} seeds ran to their end: this proves NOTHING of the others` };
  return { isGood: true, sentence: 'every promise is kept' };
}

/** Where the compiled program is, seen from the sources as well as from what they compile to. */
function compiledProgram(): string {
  const own = fileURLToPath(new URL('./seeds.js', import.meta.url));
  return existsSync(own) ? own : fileURLToPath(new URL('../../dist/test/sim/seeds.js', import.meta.url));
}

/** Runs seeds `from` to `from + count - 1`. */
export async function runSeeds(options: RunOptions): Promise<RunResult> {
  const failures: FoundFailure[] = [];
  const hashes = new Map<number, number>();
  const crashes: string[] = [];
  let totals: Totals = {
    seeds: 0,
    steps: 0,
    virtualMs: 0,
    committedBytes: 0,
    terms: 0,
    operations: 0,
    deaths: 0,
    slowDeaths: 0,
    stops: 0,
    handOvers: 0,
    coverage: {},
  };
  const take = (report: Report): void => {
    switch (report.kind) {
      case 'failure':
        failures.push(report);
        options.onFailure?.(report);
        break;
      case 'seed':
        hashes.set(report.seed, report.hash);
        options.onSeed?.(report);
        break;
      case 'totals':
        totals = {
          seeds: totals.seeds + report.seeds,
          steps: totals.steps + report.steps,
          virtualMs: totals.virtualMs + report.virtualMs,
          committedBytes: totals.committedBytes + report.committedBytes,
          terms: totals.terms + report.terms,
          operations: totals.operations + report.operations,
          deaths: totals.deaths + report.deaths,
          slowDeaths: totals.slowDeaths + report.slowDeaths,
          stops: totals.stops + report.stops,
          handOvers: totals.handOvers + report.handOvers,
          coverage: sumOf(totals.coverage, report.coverage),
        };
        break;
    }
  };
  const jobs = Math.max(1, Math.min(options.jobs, options.count));
  await Promise.all(Array.from({ length: jobs }, (_, job) => runJob(options, job, jobs, take, crashes)));
  failures.sort((left, right) => left.seed - right.seed);
  return { failures, hashes, totals, crashes };
}

function sumOf(one: Readonly<Record<string, number>>, other: Readonly<Record<string, number>>): Record<string, number> {
  const sum: Record<string, number> = { ...one };
  for (const [name, count] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + count;
  return sum;
}

/** One process: every `jobs`-th seed. */
async function runJob(options: RunOptions, job: number, jobs: number, take: (report: Report) => void, crashes: string[]): Promise<void> {
  const { program = compiledProgram(), from, count, stopsAtFirst = false, silentMs = 600_000 } = options;
  const args = [program, String(from + job), String(from + count), String(jobs), stopsAtFirst ? 'first' : 'all'];
  const flags = count > jobs ? [YOUNG_HEAP] : [YOUNG_HEAP, ...BRIEF];
  const child = spawn(process.execPath, [...flags, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const silence = setTimeout(() => child.kill('SIGKILL'), silentMs);
  let errors = '';
  child.stderr.on('data', (chunk: Uint8Array) => {
    errors = (errors + new TextDecoder().decode(chunk)).slice(-4000);
  });
  const exited = new Promise<string>((resolve) =>
    child.on('close', (code, signal) => resolve(code === 0 ? '' : `${signal ?? `code ${code}`}`)),
  );
  for await (const line of createInterface({ input: child.stdout })) {
    silence.refresh();
    take(JSON.parse(line) as Report);
  }
  const end = await exited;
  clearTimeout(silence);
  if (end !== '') crashes.push(`a process ended with ${end}: ${errors}`);
}

/** The command that shows a seed again. */
export function replayCommand(seed: number, mutant?: string): string {
  return `npm run sim -- --seed ${seed} --trace${mutant === undefined ? '' : ` --mutant ${JSON.stringify(mutant)}`}`;
}
