// Any message between nodes, by seed.

import { NO_INSTANCE } from '../../src/core/ids.ts';
import { MAX_TERM } from '../../src/core/limits.ts';
import { MAX_PEER_BODY_BYTES } from '../../src/protocol/peerChecks.ts';
import type { AppendRequest, PeerMessage } from '../../src/raft/messages.ts';
import type { Random } from '../assembly/random.ts';

function offset(random: Random): number {
  return random.pick(random.below(1000), random.u32(), random.safeInteger());
}

/** An AppendRequest of any legal range, at most `maxBodyBytes` long. */
export function anyAppend(random: Random, maxBodyBytes = MAX_PEER_BODY_BYTES): AppendRequest {
  const bodyBytes = random.oneIn(3) ? 0 : 12 + random.below(maxBodyBytes - 11);
  const prevOffset = Math.min(offset(random), Number.MAX_SAFE_INTEGER - bodyBytes);
  const prevTerm = prevOffset === 0 ? 0 : 1 + random.below(1000);
  const entriesTerm = bodyBytes === 0 ? 0 : prevTerm + 1 + random.below(10);
  return {
    kind: 'appendRequest',
    term: entriesTerm + random.below(MAX_TERM - entriesTerm),
    round: offset(random),
    prevTerm,
    prevOffset,
    prevLeader: anyLeader(random, prevTerm),
    entriesTerm,
    entriesLeader: anyLeader(random, entriesTerm),
    end: prevOffset + bodyBytes,
    base: bodyBytes === 0 ? 0 : Math.max(0, prevOffset - random.u32()),
    commit: offset(random),
  };
}

/** Any instance that is not all zero; that of term 0 is. */
function anyLeader(random: Random, term: number): string {
  if (term === 0) return NO_INSTANCE;
  const half = (): string => random.pick(random.u32(), random.below(10)).toString(16).padStart(8, '0');
  return `${half()}${(1 + random.below(1000)).toString(16).padStart(8, '0')}`;
}

/** What a clock shows, or nothing. */
function anyClock(random: Random): { clockMs?: number } {
  const clockMs = offset(random);
  return clockMs > 0 && random.oneIn(2) ? { clockMs } : {};
}

export function anyMessage(random: Random): PeerMessage {
  const term = random.pick(random.below(10), random.below(MAX_TERM + 1));
  const hintTerm = random.pick(0, random.below(MAX_TERM + 1));
  const flag = (): boolean => random.oneIn(2);
  switch (random.below(10)) {
    case 0:
      return {
        kind: 'voteRequest',
        term,
        isPreVote: flag(),
        isTransfer: flag(),
        lastTerm: random.below(term + 1),
        end: offset(random),
      };
    case 1:
      return { kind: 'voteResponse', term, isPreVote: flag(), granted: flag(), ...anyClock(random) };
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
        hintTerm,
        hintLeader: anyLeader(random, hintTerm),
        rejected: offset(random),
        isVoter: flag(),
        mayLead: flag(),
        awaitsCommit: flag(),
        isHung: flag(),
        isFull: flag(),
        isMissing: flag(),
        hasHeardAll: flag(),
        ...anyClock(random),
      };
    case 4:
      return { kind: 'timeoutNow', term };
    case 5:
      return { kind: 'readIndexRequest', term, id: offset(random) };
    case 6:
      return { kind: 'readIndexResponse', term, id: offset(random), ok: flag(), index: offset(random) };
    case 7: {
      const end = 1 + offset(random);
      const last = Math.min(end, Number.MAX_SAFE_INTEGER);
      return {
        ...{ kind: 'fetch', term, id: offset(random), from: random.below(2 ** 31) % last, end: last },
        ...(flag() ? { isOpen: true } : {}),
      };
    }
    case 8: {
      const bodyBytes = random.oneIn(3) ? 0 : 12 + random.below(MAX_PEER_BODY_BYTES - 11);
      const from = Math.min(offset(random), Number.MAX_SAFE_INTEGER - bodyBytes);
      return { kind: 'fetched', term, id: offset(random), from, end: from + bodyBytes, isDamaged: bodyBytes === 0 && flag() };
    }
    default:
      return { kind: 'admit', term, standing: random.pick('new', 'voter', 'returned') };
  }
}
