// The tables that compare systems: one for each group of a scenario, with a row for each system, a column for each number, and how LogLog
// compares at its end.

import type { Unit } from '../sample.ts';
import type { Line, MeasuredSystem, Report, Table } from './report.ts';

/** Of these less is better. */
const TIMES_AND_COSTS: readonly Unit[] = ['ms', 's', 's/million', 'MB'];

/** Whether less is better of numbers with this unit. */
export function isLessBetter(unit: Unit): boolean {
  return TIMES_AND_COSTS.includes(unit);
}

/** A line that stands in such a table. */
type ComparedLine = Line & { readonly beside: NonNullable<Line['beside']> };

/** Three significant digits, with `k` and `M` for large numbers; a dash where there is no number. */
export function compactText(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '–';
  const [scaled, sign] = Math.abs(value) >= 999_500 ? [value / 1e6, ' M'] : Math.abs(value) >= 9995 ? [value / 1000, ' k'] : [value, ''];
  const digits = Math.abs(scaled) >= 99.95 ? 0 : Math.abs(scaled) >= 9.995 ? 1 : Math.abs(scaled) >= 0.9995 ? 2 : 3;
  return `${scaled.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })}${sign}`;
}

/** The median, and what the rounds went from and to where they were several. */
function cellText({ median, min, max, values }: Line): string {
  return values.length === 1 ? compactText(median) : `${compactText(median)} (${compactText(min)}–${compactText(max)})`;
}

/** What the rounds found: null is what NaN is in JSON. */
export interface Spread {
  readonly min: number | null;
  readonly median: number | null;
  readonly max: number | null;
}

/** Whether a round of one side was as good as one of the other. */
function doOverlap(own: Spread, other: Spread): boolean {
  return Number(own.min) <= Number(other.max) && Number(other.min) <= Number(own.max);
}

/** How `own` stands to `other`, both of `unit`: `3.2 × ahead`, and whether the rounds differ by as much. */
export function standingText(own: Spread, other: Spread, unit: Unit): string {
  const [ours, theirs] = [own.median, other.median];
  if (ours === null || theirs === null || !(ours > 0 && theirs > 0)) return '–';
  const ratio = isLessBetter(unit) ? theirs / ours : ours / theirs;
  const times = Math.max(ratio, 1 / ratio);
  const text = times < 9.95 ? times.toFixed(1) : times.toLocaleString('en-US', { maximumFractionDigits: 0 });
  if (text === '1.0') return 'equal';
  return `${text} × ${ratio > 1 ? 'ahead' : 'behind'}${doOverlap(own, other) ? ', within the spread' : ''}`;
}

/** What a table is made of: all lines of a group, and who they are of. */
interface Group {
  readonly title: string;
  readonly lines: readonly ComparedLine[];
  readonly systems: readonly MeasuredSystem[];
}

/** How the LogLog of as many nodes stands to `system`. Only what is as durable is compared. */
function standingOf(system: MeasuredSystem, { lines, systems }: Group): string {
  const own = systems.find(({ isOwn, nodes }) => isOwn && nodes === system.nodes);
  if (system.isOwn || own === undefined) return '';
  const compared = lines.filter(({ beside, fsync }) => beside.system === system.id && beside.isCompared && fsync === 'on');
  const texts = compared.flatMap((line) => {
    const ours = lines.find(({ beside }) => beside.system === own.id && beside.number === line.beside.number);
    if (ours === undefined || ours.fsync !== 'on' || !ours.beside.isCompared) return [];
    const standing = standingText(ours, line, line.unit);
    return [compared.length === 1 ? standing : `${line.beside.number} ${standing}`];
  });
  return texts.join('; ');
}

function tableOfGroup(group: Group): Table {
  const { title, lines, systems } = group;
  const numbers = [...new Map(lines.map(({ beside, unit }) => [beside.number, unit]))];
  const rows = systems.map((system) => {
    const own = lines.filter(({ beside }) => beside.system === system.id);
    const cells = numbers.map(([number]) => own.find(({ beside }) => beside.number === number));
    const isDurable = own.every(({ verdict }) => verdict !== 'not durable');
    const fsync = own[0]?.fsync ?? '';
    return [
      `${system.id} ${system.version}`,
      system.setting,
      isDurable ? fsync : `${fsync}, not durable`,
      ...cells.map((line) => (line === undefined ? '' : cellText(line))),
      standingOf(system, group),
    ];
  });
  return {
    title,
    header: ['system', 'setting', 'fsync', ...numbers.map(([number, unit]) => `${number}, ${unit}`), 'LogLog is'],
    rows,
    isNumber: (column) => column >= 3 && column < 3 + numbers.length,
  };
}

/** All such tables of a report, in the order in which their first numbers came. */
export function comparisonTables(report: Report): Table[] {
  const groups = new Map<string, ComparedLine[]>();
  for (const line of report.results) {
    if (!line.beside) continue;
    const title = `${line.scenario}, ${line.beside.group}`;
    const lines = groups.get(title) ?? [];
    groups.set(title, lines);
    lines.push({ ...line, beside: line.beside });
  }
  return [...groups].map(([title, lines]) => {
    const systems = report.systems.filter(({ id }) => lines.some(({ beside }) => beside.system === id));
    return tableOfGroup({ title, lines, systems });
  });
}
