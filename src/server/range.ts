// The header Range of HTTP (RFC 9110, 14): one range of bytes. What is no such range is as if it were not there.

const RANGE = /^bytes=\s*(\d{0,16})\s*-\s*(\d{0,16})\s*$/i;

/** The bytes [from, to) that are asked for of `size`; undefined: all. Several ranges at once are answered with all, which is allowed. */
export function rangeOf(header: string, size: number): readonly [number, number] | 'unsatisfiable' | undefined {
  const [, first = '', last = ''] = RANGE.exec(header) ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') return Number(last) === 0 || size === 0 ? 'unsatisfiable' : [Math.max(0, size - Number(last)), size];
  const from = Number(first);
  const to = last === '' ? size : Math.min(size, Number(last) + 1);
  // A last byte before the first one is no range.
  if (last !== '' && Number(last) < from) return undefined;
  return from >= size ? 'unsatisfiable' : [from, to];
}
