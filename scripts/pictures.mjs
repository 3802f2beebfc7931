// `npm run pictures`: the pictures of the documents, drawn anew, as SVG. A test compares them with what this draws: what they say of bytes is read from assembly/layout.ts.
// usage: node scripts/pictures.mjs

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './markdown.mjs';

const STYLE = `
svg { color-scheme: light dark; background: #fff; color: #1b1f24; }
text { font: 14px system-ui, sans-serif; fill: currentColor; }
.small { font-size: 12px; }
.number { font: 600 12px ui-monospace, monospace; }
.box { fill: #eef4fb; stroke: #35618e; }
.disk { fill: #f3efe2; stroke: #8a6d1d; }
.line { fill: none; stroke: currentColor; }
.head { fill: currentColor; }
@media (prefers-color-scheme: dark) {
  svg { background: #14171b; color: #e6e9ee; }
  .box { fill: #1c2a3a; stroke: #79b8ff; }
  .disk { fill: #2d2715; stroke: #f2c14e; }
}`.trim();

const escaped = (text) => text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);

/** A text, in the middle of `x` unless `anchor` says otherwise. */
function words(x, y, text, { kind = '', anchor = 'middle' } = {}) {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}"${kind === '' ? '' : ` class="${kind}"`}>${escaped(text)}</text>`;
}

/** A box with lines of text in its middle, the first one as the others of its kind. */
function box(x, y, width, height, lines, { kind = 'box', small = true } = {}) {
  const first = y + height / 2 + 5 - (lines.length - 1) * 9;
  const texts = lines.map((line, i) => words(x + width / 2, first + 18 * i, line, { kind: i > 0 && small ? 'small' : '' }));
  return [`<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="4" class="${kind}"/>`, ...texts].join('\n');
}

/** An arrow from one point to another, straight, with its number or words at `label`. */
function arrow([fromX, fromY], [toX, toY], label, { dx = 0, dy = -6, anchor = 'middle' } = {}) {
  const line = `<path d="M${fromX} ${fromY} L${toX} ${toY}" class="line" marker-end="url(#head)"/>`;
  const [x, y] = [(fromX + toX) / 2 + dx, (fromY + toY) / 2 + dy];
  return label === undefined ? line : `${line}\n${words(x, y, label, { kind: 'small', anchor })}`;
}

/** A whole picture; `title` is what is read to those who do not see it. */
function picture(width, height, title, parts) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title">
<title id="title">${escaped(title)}</title>
<style>
${STYLE}
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 Z" class="head"/></marker></defs>
${parts.join('\n')}
</svg>
`;
}

/** One append on three nodes, from the program to its receipt. */
function append() {
  const title =
    'An append goes from a program to the leader, which writes it to its disk and sends it to two followers at once; when a majority has it on disk it is committed: ' +
    'the program has its receipt, and readers of any node see it.';
  return picture(720, 300, title, [
    box(10, 110, 130, 60, ['a program', 'append("an entry")']),
    box(260, 105, 170, 70, ['the leader', 'gives it its place', 'in the log']),
    box(300, 225, 90, 50, ['its disk'], { kind: 'disk' }),
    box(540, 20, 90, 50, ['a follower']),
    box(540, 215, 90, 50, ['a follower']),
    box(660, 20, 50, 50, ['disk'], { kind: 'disk' }),
    box(660, 215, 50, 50, ['disk'], { kind: 'disk' }),
    arrow([140, 125], [258, 125], '1  entry'),
    arrow([345, 175], [345, 223], '2  write, sync', { dx: -8, dy: 4, anchor: 'end' }),
    arrow([430, 120], [538, 50], '2  the same bytes', { dx: -14, dy: -14 }),
    arrow([430, 160], [538, 235], '2', { dx: 12, dy: -6 }),
    arrow([630, 45], [658, 45]),
    arrow([630, 240], [658, 240]),
    arrow([560, 70], [432, 145], '3  on disk', { dx: 34, dy: 14 }),
    arrow([258, 155], [142, 155], '4  receipt', { dy: 18 }),
    words(10, 30, 'When two of three have it on disk, it is committed:', { kind: 'small', anchor: 'start' }),
    words(10, 48, 'it has its receipt, and is read from any node.', { kind: 'small', anchor: 'start' }),
    words(10, 66, 'Any one of the three may die.', { kind: 'small', anchor: 'start' }),
  ]);
}

const constantOf = (layout, name) => {
  const [, value] = new RegExp(`^export const ${name} = (\\d+);`, 'm').exec(layout) ?? [];
  if (value === undefined) throw new Error(`assembly/layout.ts has no ${name}`);
  return Number(value);
};

/** An entry, and where it is in a segment and in the log. */
function entry() {
  const layout = readFileSync(join(ROOT, 'assembly/layout.ts'), 'utf8');
  const number = (name) => constantOf(layout, name);
  const [kind, header, check] = ['ENTRY_KIND_SIZE_AT', 'ENTRY_HEADER_BYTES', 'ENTRY_CHECK_BYTES'].map(number);
  const page = number('SEGMENT_HEADER_BYTES');
  const title = `A segment file is a page of ${page} bytes and entries, back to back. An entry has a term, its kind and size, its payload, and a check: ${header + check} bytes beside the payload. An offset is where it begins.`;
  const at = (x, byte) => words(x, 122, byte, { kind: 'number', anchor: 'start' });
  return picture(720, 260, title, [
    words(10, 24, 'An entry', { anchor: 'start' }),
    box(10, 40, 110, 60, ['term', 'u32']),
    box(120, 40, 170, 60, ['kind and size', 'u32: 8 and 24 bits']),
    box(290, 40, 300, 60, ['payload', 'any bytes: nobody looks at them'], { kind: 'disk' }),
    box(590, 40, 110, 60, ['check', `u${8 * check}`]),
    at(12, '0'),
    at(122, `${kind}`),
    at(292, `${header}`),
    at(592, `${header} + size`),
    words(10, 160, 'A segment file', { anchor: 'start' }),
    box(10, 176, 110, 44, [`header, ${page}`]),
    ...[0, 1, 2, 3].map((i) => box(120 + 100 * i, 176, 100, 44, ['entry'], { kind: 'disk' })),
    box(520, 176, 180, 44, ['what comes']),
    words(122, 240, 'base: an offset of the log', { kind: 'small', anchor: 'start' }),
    words(322, 240, 'offset = base + bytes of the entries before', { kind: 'small', anchor: 'start' }),
  ]);
}

/** All pictures, by their paths from the root of the project on. */
export function pictures() {
  return new Map([
    ['docs/pictures/append.svg', append()],
    ['docs/pictures/entry.svg', entry()],
  ]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, svg] of pictures()) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), svg);
    console.log(`${path}: ${svg.length} bytes`);
  }
}
