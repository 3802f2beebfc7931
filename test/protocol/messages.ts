// Any message between nodes, by seed.

import { MAX_TERM } from '../../src/core/limits.ts';
import { MAX_PEER_BODY_BYTES } from '../../src/protocol/peer.ts';
import type { AppendRequest, PeerMessage } from '../../src/raft/messages.ts';
import type { Random } from '../assembly/random.ts';

function offset(random: Random): number {
  return random.pick(random.below(1000), random.u32(), random.safeInteger());
}

/** An AppendRequest of any legal range, at most `maxBodyBytes` long. */
export function anyAppend(random: Random, maxBodyBytes = MAX_PEER_BODY_BYTES): AppendRequest {
  const bodyBytes = random.oneIn(3) ? 0 : 12 + random.below(maxBodyBytes - 11);
  const prevOffset = Math.min(offset(random), Number.MAX_SAFE_INTEGER - bodyBytes);
  const prevTerm = random.below(1000);
  const entriesTerm = bodyBytes === 0 ? 0 : prevTerm + 1 + random.below(10);
  return {
    kind: 'appendRequest',
    term: entriesTerm + random.below(MAX_TERM - entriesTerm),
    round: offset(random),
    prevTerm,
    prevOffset,
    entriesTerm,
    end: prevOffset + bodyBytes,
    base: bodyBytes === 0 ? 0 : Math.max(0, prevOffset - random.u32()),
    commit: offset(random),
  };
}

export function anyMessage(random: Random): PeerMessage {
  const term = random.pick(random.below(10), random.below(MAX_TERM + 1));
  const flag = (): boolean => random.oneIn(2);
  switch (random.below(8)) {
    case 0:
      return {
        kind: 'voteRequest',
        term,
        isPreVote: flag(),
        isTransfer: flag(),
        lastTerm: random.below(MAX_TERM + 1),
        end: offset(random),
      };
    case 1:
      return { kind: 'voteResponse', term, isPreVote: flag(), granted: flag() };
    case 2:
      return anyAppend(random);
    case 3:
      return {
        kind: 'appendResponse',
        term,
        round: offset(random),
        accepted: flag(),
        offset: offset(random),
        durable: offset(random),
        hintTerm: random.below(MAX_TERM + 1),
        rejected: offset(random),
        isVoter: flag(),
        isOfAge: flag(),
        awaitsCommit: flag(),
        hasHeardAll: flag(),
      };
    case 4:
      return { kind: 'timeoutNow', term };
    case 5:
      return { kind: 'readIndexRequest', term, id: offset(random) };
    case 6:
      return { kind: 'readIndexResponse', term, id: offset(random), ok: flag(), index: offset(random) };
    default:
      return { kind: 'admit', term, standing: random.pick('new', 'voter', 'returned') };
  }
}
