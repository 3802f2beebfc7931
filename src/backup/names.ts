// Names of the files in a backup's folder. All are made from numbers: nothing that a manifest says is ever a path.

export const MANIFEST_FILE = 'backup.json';

const FILE_PATTERN = /^(\d{20})-(\d{20})\.entries$/;
const UNFINISHED_PATTERN = /^(\d{20})\.unfinished$/;

const padded = (offset: number): string => String(offset).padStart(20, '0');

/** `00000000000000000000-00000000000000040099.entries`: the log bytes [base, end). */
export function fileName({ base, end }: { readonly base: number; readonly end: number }): string {
  return `${padded(base)}-${padded(end)}.entries`;
}

/** A file that begins at log offset `base` and is being written. */
export function unfinishedName(base: number): string {
  return `${padded(base)}.unfinished`;
}

/** Log offset at which the file of that name begins, be it finished or not; undefined when the name is not one of a backup's files. */
export function baseOfFile(name: string): number | undefined {
  const digits = (FILE_PATTERN.exec(name) ?? UNFINISHED_PATTERN.exec(name))?.[1];
  return digits === undefined ? undefined : Number(digits);
}
