// Names of the files in a data directory. All are made from numbers that we print, never from anything a client sent.

export const IDENTITY_FILE = 'node.json';
export const VOTE_FILE = 'vote';
export const LOCK_FILE = 'lock';
/** Where the node is in reading its sealed segments through. */
export const SCRUB_FILE = 'scrub';
/** What the sealed segments are: digests that this node made, and those that the log says. */
export const SEALS_FILE = 'seals';
/** A token that the directory's owner asks for. */
export const TOKEN_REQUEST_FILE = 'token-request';
/** In a directory that a restore fills, and which is no log yet. */
export const RESTORE_FILE = 'restore.tmp';
/** What comes after the name of a file that is being replaced. */
export const TEMPORARY_SUFFIX = '.tmp';

/** A request for a token while it is written, by a process of its own beside the node's: with a number drawn for it. */
const REQUEST_TEMPORARY_PATTERN = /^token-request(\.\d{1,10})?\.tmp$/;

const DAMAGED_SUFFIX = '.damaged';

const SEGMENT_PATTERN = /^(\d{20})\.segment$/;
const INDEX_PATTERN = /^(\d{20})\.index$/;
const SEGMENT_NAME_LENGTH = 28;
const INDEX_NAME_LENGTH = 26;
const TEMPORARY_PATTERN = /^(node\.json|vote|restore|scrub|\d{20}\.index|\d{20}\.healing|spare-\d{1,16})\.tmp$/;

/** `00000000000000000000.segment`: the segment whose first entry has log offset `base`. */
export function segmentName(base: number): string {
  return `${String(base).padStart(20, '0')}.segment`;
}

/** What the file of the segment at `base` is called once a healed one is in its place. */
export function damagedName(base: number): string {
  return `${segmentName(base)}${DAMAGED_SUFFIX}`;
}

/** The file that is to take the place of the damaged one of the segment at `base`. */
export function healingName(base: number): string {
  return `${String(base).padStart(20, '0')}.healing${TEMPORARY_SUFFIX}`;
}

/** The index of the sealed segment at `base`. */
export function indexName(base: number): string {
  return `${String(base).padStart(20, '0')}.index`;
}

/** A zero-written file for a segment to come. */
export function spareName(number: number): string {
  return `spare-${number}${TEMPORARY_SUFFIX}`;
}

/** Whether `name` is one that LogLog gives to files that are unfinished or spare: all of them are removed when a node starts. */
export function isOurTemporary(name: string): boolean {
  return TEMPORARY_PATTERN.test(name);
}

/** What a request for a token is called while it is written; `drawn`, 0 to 2^31, tells those apart that are written at once. */
export function requestTemporaryName(drawn: number): string {
  return `${TOKEN_REQUEST_FILE}.${drawn}${TEMPORARY_SUFFIX}`;
}

/** Whether `name` is one of those: whoever asks for a token next removes it once it is old. A node lets it be: somebody may be writing to it. */
export function isRequestTemporary(name: string): boolean {
  return REQUEST_TEMPORARY_PATTERN.test(name);
}

/** The number that `name`, of `length` characters, was made from by one of the functions above; undefined when it was not. */
function numberIn(pattern: RegExp, length: number, name: string): number | undefined {
  // A directory may have very many of either.
  if (name.length !== length) return undefined;
  const digits = pattern.exec(name)?.[1];
  // Above 2^53 - 1 a number would be rounded, and name another file.
  return digits !== undefined && Number.isSafeInteger(Number(digits)) ? Number(digits) : undefined;
}

/** Base offset of a segment file's name; undefined when it is not one. */
export function baseOfName(name: string): number | undefined {
  return numberIn(SEGMENT_PATTERN, SEGMENT_NAME_LENGTH, name);
}

/** Base offset of an index file's name; undefined when it is not one. */
export function baseOfIndexName(name: string): number | undefined {
  return numberIn(INDEX_PATTERN, INDEX_NAME_LENGTH, name);
}

/** Base offset of a damaged segment's name; undefined when it is not one. */
export function baseOfDamagedName(name: string): number | undefined {
  return name.endsWith(DAMAGED_SUFFIX) ? baseOfName(name.slice(0, -DAMAGED_SUFFIX.length)) : undefined;
}

/** Whether `name` is that of a damaged segment's file. */
export function isDamagedName(name: string): boolean {
  return baseOfDamagedName(name) !== undefined;
}
