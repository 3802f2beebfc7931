// Which terms the entries of a segment belong to, and whose they are: each term begins with a no-op that names its leader.

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { LogError } from '../core/errors.ts';
import { type EntryTerm, NO_INSTANCE } from '../core/ids.ts';
import { leaderOfNoOp, noOpOfTerm } from '../format/noOp.ts';
import type { TermStart } from '../format/segmentIndex.ts';

/**
 * The terms of a segment whose image is at `imageAt` of `view`, up to file position `fileBytes`. The first one may go on from the segment
 * before, after an entry of `before`. `sameTermBytes` walks the entries from a position on that have one term. Throws a LogError `DAMAGE`,
 * naming `path`, when a no-op does not name the leader of the term that it begins.
 */
export function termsIn(
  view: DataView,
  imageAt: number,
  fileBytes: number,
  sameTermBytes: (position: number) => number,
  before: EntryTerm,
  path: string,
): TermStart[] {
  const terms: TermStart[] = [];
  for (let position = SEGMENT_HEADER_BYTES; position < fileBytes; position += sameTermBytes(position)) {
    const term = view.getUint32(imageAt + position, true);
    // Only the first term of a segment can have begun before it.
    let leader = terms.length === 0 && term === before.term ? before.leader : NO_INSTANCE;
    const noOpAt = noOpOfTerm(view, imageAt + position, imageAt + fileBytes);
    if (noOpAt >= 0) {
      leader = leaderOfNoOp(view, noOpAt);
      if (leader === NO_INSTANCE) {
        throw new LogError(
          'DAMAGE',
          `${path} at byte ${noOpAt - imageAt}: the no-op that begins term ${term} does not name the leader's instance, 8 bytes that are not all zero`,
          { file: path, position: noOpAt - imageAt },
        );
      }
    }
    terms.push({ term, position, leader });
  }
  return terms;
}
