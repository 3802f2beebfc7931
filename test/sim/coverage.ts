// What befell uploads in the simulations of this process: each fault that uploads are to be shown under must be among it, which a test asserts.

import { ANNOUNCE_WAIT_MS } from '../../src/core/uploadLimits.ts';
import { DiskReads } from '../../src/node/diskReads.ts';
import { Digests } from '../../src/replication/digests.ts';
import { References } from '../../src/replication/references.ts';
import { promise } from './violation.ts';

/** Ways in which a client's upload to one node goes. */
export const UPLOAD_WAYS = [
  'well',
  /** Other entries of the same sizes, as valid as the right ones. */
  'other',
  'damaged',
  'shorter',
  'longer',
  /** It ends at some byte. */
  'cut',
  'doubled',
  'reordered',
  'late',
  /** Nothing comes, and the client says that it has. */
  'lost',
  /** It is there, and the client does not say so. */
  'unnamed',
  /** The connection ends directly after it. */
  'left',
] as const;
export type UploadWay = (typeof UPLOAD_WAYS)[number];

/** What else there must be. */
export const UPLOAD_EVENTS = [
  'an upload is announced',
  'a node is referred to an upload',
  'a reference is placed',
  'a reference is not placed',
  'a digest goes on in another turn',
  'there is no room for an upload',
  'a client that uploads dies',
  'a node with uploads dies',
  'a node with uploads is wiped',
  'a leader goes between order and reference',
] as const;
/** What is so rare that a thousand seeds may lack one of them, not all. */
export const RARE_UPLOAD_EVENTS = [
  'a leader waits for an announcement',
  'what a reference brought is cut off',
  'a node leads that lacks what it was referred to',
] as const;
/** What becomes of the set of nodes, where the log says one. */
export const NODE_EVENTS = [
  'a node is asked to add',
  'a node is asked to remove',
  'a node is asked to promote',
  'a node is asked to demote',
  'a node is asked to move',
  'a level is asked for that a node does not know',
  'a level is raised amid faults',
  'a level is raised automatically',
  'a level is raised once all is well',
  'a leader removes itself',
  'a node alone gets another one',
] as const;
/** What befalls producers, where the log has their sessions. */
export const SESSION_EVENTS = [
  'an append of a session is acknowledged',
  'an append of a session is sent again, and was there',
  'an append of a session is sent again, and was not there',
  'a session is forgotten',
  'a producer is fenced',
  'a state entry says sessions',
  'the place of an append is read from the disk',
  'a node is referred to an append of a session',
  'an append of a session is sent again in another one',
  'an append of a session is a gap after one that was refused',
  'an append of a session is done, and trimmed',
  'a session is opened, and asked for again',
] as const;
export type SessionEvent = (typeof SESSION_EVENTS)[number];
export type UploadEvent = (typeof UPLOAD_EVENTS)[number] | (typeof RARE_UPLOAD_EVENTS)[number] | (typeof NODE_EVENTS)[number];

/** How often each was. */
export const coverage: Partial<Record<UploadEvent | SessionEvent | UploadWay, number>> = {};

export function covers(what: UploadEvent | SessionEvent | UploadWay): void {
  coverage[what] = (coverage[what] ?? 0) + 1;
}

const { readCopy } = DiskReads.prototype;
DiskReads.prototype.readCopy = function (range, wanted, isOver, party) {
  if (range.maxBytes === 0 && party === undefined && wanted.from === range.from && wanted.to === range.limit)
    covers('the place of an append is read from the disk');
  return readCopy.call(this, range, wanted, isOver, party);
};
// What only the raft thread knows: looked at where it does it, which is left as it is.
const { plan, clear } = References.prototype;
References.prototype.plan = function (to, due, nowMs) {
  const planned = plan.call(this, to, due, nowMs);
  if (planned.kind !== 'wait') return planned;
  covers('a leader waits for an announcement');
  const waitMs = planned.untilMs - nowMs;
  promise(waitMs < ANNOUNCE_WAIT_MS + 1e-6, 'uploads', () => `a leader waits for an announcement for ${waitMs} ms`);
  return planned;
};
References.prototype.clear = function () {
  if (!this.isEmpty) covers('a leader goes between order and reference');
  clear.call(this);
};
const { of } = Digests.prototype;
Digests.prototype.of = function (upload) {
  const found = of.call(this, upload);
  if (found === 'later') covers('a digest goes on in another turn');
  return found;
};
