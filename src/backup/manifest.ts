// What a backup's manifest, backup.json, says, and its check: which log it is of, from where to where, and the digest of each file. docs/BACKUP.md.

import { assert } from '../core/assert.ts';
import { LogError } from '../core/errors.ts';
import { MAX_TERM, MAX_TIME_MS } from '../core/limits.ts';
import { checkOfFields, hasOwnCheck } from '../format/fieldsCheck.ts';
import { FORMAT_VERSION, OLDEST_FORMAT } from '../format/version.ts';

/** Version of the manifest and of the folder's layout. */
export const BACKUP_FORMAT = 1;

/** A file of a backup: the log bytes [base, end), and nothing else. Its name says the same. */
export interface BackupFile {
  readonly base: number;
  readonly end: number;
  /** SHA-256 of the file, 64 hexadecimal digits. */
  readonly sha256: string;
  /** Whether the log went on after it in the same segment: a later run replaces it by a longer one. Only the last file can be. */
  readonly isPart: boolean;
}

export interface Manifest {
  /** Of the log: 32 and 16 hexadecimal digits. */
  readonly clusterId: string;
  readonly generation: string;
  /** The backup has the log bytes [start, end). */
  readonly start: number;
  readonly end: number;
  /** Log offset of the last entry; null while there is none. */
  readonly lastEntry: number | null;
  /** Term of the last entry; 0 while there is none. */
  readonly lastTerm: number;
  /** Unix milliseconds: all that was acknowledged before is in the backup. 0 while its first run has not come to its end. */
  readonly takenMs: number;
  /** The files have what the log says of tokens, and a restore into the same cluster puts them in force again; left out: neither. */
  readonly tokens?: true;
  /** Ascending, each where the one before ends. */
  readonly files: readonly BackupFile[];
}

const isHex = (value: unknown, digits: number): value is string =>
  typeof value === 'string' && value.length === digits && /^[0-9a-f]+$/.test(value);

const isWhole = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

function isFile(value: unknown): value is BackupFile {
  const { base, end, sha256, isPart, ...rest } = (value ?? {}) as Record<string, unknown>;
  return isWhole(base) && isWhole(end) && isHex(sha256, 64) && typeof isPart === 'boolean' && Object.keys(rest).length === 0;
}

/** What each field may say, in the order in which the check covers them. */
const FIELDS: { readonly [Name in keyof Manifest]: (value: unknown) => value is Manifest[Name] } = {
  clusterId: (value) => isHex(value, 32),
  generation: (value) => isHex(value, 16),
  start: isWhole,
  end: isWhole,
  lastEntry: (value): value is number | null => value === null || isWhole(value),
  lastTerm: (value): value is number => isWhole(value) && value <= MAX_TERM,
  takenMs: (value): value is number => isWhole(value) && value <= MAX_TIME_MS,
  tokens: (value): value is true => value === undefined || value === true,
  files: (value): value is readonly BackupFile[] => Array.isArray(value) && value.every(isFile),
};

/** Name of the first field without a valid value. */
function firstWrong(fields: Readonly<Record<string, unknown>>): string | undefined {
  return Object.entries(FIELDS).find(([name, isValid]) => !isValid(fields[name]))?.[0];
}

function isManifest(fields: Readonly<Record<string, unknown>>): fields is Readonly<Record<string, unknown>> & Manifest {
  return firstWrong(fields) === undefined;
}

/** The fields under the check, in the check's order: the same for the same values, however the file is laid out. */
function checkedFields(manifest: Manifest): Record<string, unknown> {
  const fields: Record<string, unknown> = { format: BACKUP_FORMAT, logFormat: FORMAT_VERSION };
  for (const name of Object.keys(FIELDS) as (keyof Manifest)[]) fields[name] = manifest[name];
  fields.files = manifest.files.map(({ base, end, sha256, isPart }) => ({ base, end, sha256, isPart }));
  return fields;
}

/** What no writer of ours would write, although each field alone is valid. */
function contradiction({ start, end, lastEntry, lastTerm, files }: Manifest): string | undefined {
  let due = start;
  for (const [i, file] of files.entries()) {
    if (file.base !== due || file.end <= file.base) return `has no file that begins at offset ${due}, or one that ends before it begins`;
    if (file.isPart && i < files.length - 1) return `has a part before its last file, at offset ${file.base}`;
    due = file.end;
  }
  if (due !== end) return `ends at offset ${end}, but its files end at ${due}`;
  const isEmpty = files.length === 0;
  if (isEmpty !== (lastEntry === null) || isEmpty !== (lastTerm === 0)) return 'has a last entry without files, or files without one';
  if (lastEntry !== null && (lastEntry < (files.at(-1)?.base ?? 0) || lastEntry >= end))
    return 'has its last entry outside of its last file';
  return undefined;
}

/** The text of backup.json. What could not be read back is a bug. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  assert(firstWrong({ ...manifest }) === undefined && contradiction(manifest) === undefined, 'a manifest has valid fields');
  const { files, ...fields } = checkedFields(manifest);
  const check = checkOfFields({ ...fields, files });
  // A line for each file, so that people can read it.
  const lines = (files as unknown[]).map((file) => `    ${JSON.stringify(file)}`).join(',\n');
  const head = JSON.stringify(fields, null, 2).slice(0, -2);
  const text = `${head},\n  "files": [${lines === '' ? '' : `\n${lines}\n  `}],\n  "check": "${check}"\n}\n`;
  return new TextEncoder().encode(text);
}

/** Reads backup.json. Throws a LogError that names `file`: `NEWER_FORMAT`, or `DAMAGE` when it is not what a backup wrote. */
export function decodeManifest(bytes: Uint8Array, file: string): Manifest {
  const damage = (what: string): LogError =>
    new LogError(
      'DAMAGE',
      `${file} ${what}: it says which log this backup is of and what its files must be, so nothing of it is used, and nothing was changed. Put a copy of it in its place, or begin another backup in a new folder`,
      {
        file,
        position: 0,
      },
    );
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw damage('is not JSON');
  }
  const all = (parsed ?? {}) as Record<string, unknown>;
  const { format, logFormat, check, ...fields } = all;
  for (const [version, newest] of [
    [format, BACKUP_FORMAT],
    [logFormat, FORMAT_VERSION],
  ] as const) {
    if (!isWhole(version) || version === 0) throw damage('lacks a valid format');
    // A wrong digit of it is damage, as any other.
    if (version > newest && !hasOwnCheck(all)) throw damage('does not match its check, so it was damaged, or edited by hand');
    if (version > newest) {
      throw new LogError('NEWER_FORMAT', `${file} has format ${version}; this LogLog reads format ${newest}: use a newer one`, { file });
    }
  }
  if (Number(logFormat) < OLDEST_FORMAT) throw damage('lacks a valid format');
  if (!isManifest(fields)) throw damage(`lacks a valid ${firstWrong(fields)}`);
  const unknown = Object.keys(fields).find((name) => !Object.hasOwn(FIELDS, name));
  if (unknown !== undefined) throw damage(`has a field of no meaning, ${JSON.stringify(unknown.slice(0, 40))}`);
  const manifest: Manifest = fields;
  if (check !== checkOfFields(checkedFields(manifest))) throw damage('does not match its check, so it was damaged, or edited by hand');
  const wrongTogether = contradiction(manifest);
  if (wrongTogether !== undefined) throw damage(wrongTogether);
  return manifest;
}
