// How this build stands to the one that --before names: by the ratios of what both did in the same round, so that whatever else the machine
// did met both sides of a ratio alike.

import { median } from '../statistics.ts';
import { compactText, isLessBetter } from './comparison.ts';
import type { Line, MeasuredSystem, Report, Table, Verdict } from './report.ts';

/** An interval holds the true median with this probability, or more. */
const CONFIDENCE = 0.9;
/** What a build may lose on any line before that is a MISS: what two runs of the same build differ by. */
const LEAST_RATIO = 0.97;

/**
 * Where the true median of what `values` were drawn from lies with a probability of 90 % or more, whatever their distribution is: between the
 * k-th smallest and the k-th largest, by the binomial distribution (the interval of the sign test). Undefined when there are fewer than 5.
 */
export function medianInterval(values: readonly number[]): readonly [number, number] | undefined {
  const sorted = Float64Array.from(values).sort();
  const count = sorted.length;
  // The probability that fewer than `rank` of the values lie on one side of the true median, for each rank.
  let [outside, term, rank] = [0, 0.5 ** count, 0];
  while (outside + term <= (1 - CONFIDENCE) / 2) {
    outside += term;
    rank += 1;
    term *= (count - rank + 1) / rank;
  }
  const [low, high] = [sorted[rank - 1], sorted[count - rank]];
  return low === undefined || high === undefined ? undefined : [low, high];
}

/** What a line of both builds says. */
interface Pair {
  readonly before: Line;
  readonly after: Line;
  /** Of each round, how many times as good the later build was. */
  readonly ratios: readonly number[];
}

function pairOf(before: Line, after: Line): Pair {
  const ratios = after.values.flatMap((value, round) => {
    const other = before.values[round] ?? Number.NaN;
    const ratio = isLessBetter(after.unit) ? other / value : value / other;
    return Number.isFinite(ratio) && ratio > 0 ? [ratio] : [];
  });
  return { before, after, ratios };
}

/** Whether a line is one by which a build is judged: rates, medians of times, and what they cost. */
function isJudged({ unit, beside }: Line): boolean {
  return unit === 'entries/s' || unit === 's/million' || beside?.number.startsWith('p50') === true;
}

function verdictOf(ratio: number, line: Line): Verdict {
  if (!isJudged(line)) return '';
  return ratio >= LEAST_RATIO ? 'pass' : 'MISS';
}

function rowOf({ before, after, ratios }: Pair, system: MeasuredSystem): string[] {
  const { scenario, unit, beside } = after;
  const ratio = median(ratios);
  const interval = medianInterval(ratios);
  return [
    scenario,
    `${system.id}, ${beside?.group ?? ''}: ${beside?.number ?? ''}`,
    compactText(before.median),
    compactText(after.median),
    unit,
    Number.isFinite(ratio) ? ratio.toFixed(3) : '–',
    interval === undefined ? '–' : `${interval[0].toFixed(3)}–${interval[1].toFixed(3)}`,
    String(ratios.length),
    ratios.length === 0 ? '' : verdictOf(ratio, after),
  ];
}

/** The table of this build against the one before it; undefined when only one was measured. */
export function pairTable({ results, systems }: Report): Table | undefined {
  const rows = systems.flatMap((after) => {
    const before = systems.find(({ isBefore, nodes }) => isBefore === true && nodes === after.nodes);
    if (!after.isOwn || before === undefined) return [];
    return results.flatMap((line) => {
      if (line.beside?.system !== after.id) return [];
      const other = results.find(({ scenario, beside }) => {
        return (
          scenario === line.scenario &&
          beside?.system === before.id &&
          beside.group === line.beside?.group &&
          beside.number === line.beside.number
        );
      });
      return other === undefined ? [] : [rowOf(pairOf(other, line), after)];
    });
  });
  if (rows.length === 0) return undefined;
  const named = rows.map(([scenario = '', ...cells], index) => [scenario === rows[index - 1]?.[0] ? '' : scenario, ...cells]);
  return {
    header: ['scenario', 'what', 'before', 'after', 'unit', 'times as good', '90 % interval', 'pairs', `≥ ${LEAST_RATIO}`],
    rows: named,
    isNumber: (column) => [2, 3, 5, 6, 7].includes(column),
  };
}
