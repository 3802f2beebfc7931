// Bugs that systems like this one once had, to be planted by name: each proves that the simulator would find it. B-numbers are those of the
// project's catalogue of bugs; behind them stands where each was seen.

import { ADMISSION_MUTANTS } from './admission.ts';
import { CONSUMER_MUTANTS } from './consumers.ts';
import { DEATH_MUTANTS } from './deaths.ts';
import { DISK_MUTANTS } from './disks.ts';
import { ENGINE_MUTANTS } from './engine.ts';
import { HEAL_MUTANTS } from './heals.ts';
import { LOG_STATE_MUTANTS } from './logState.ts';
import type { Mutant } from './mutant.ts';
import { NODE_MUTANTS } from './nodes.ts';
import { OPEN_DAMAGE_MUTANTS } from './openDamages.ts';
import { RETENTION_MUTANTS } from './retention.ts';
import { SEAL_MUTANTS } from './seals.ts';
import { SEGMENT_MUTANTS } from './segments.ts';
import { SESSION_MUTANTS } from './sessions.ts';
import { TOKEN_MUTANTS } from './tokens.ts';
import { TRIM_MUTANTS } from './trims.ts';
import { UPLOAD_MUTANTS } from './uploads.ts';

const RAFT = 'src/raft/raft.ts';
const ELECTIONS = 'src/raft/elections.ts';
const STATE = 'src/raft/state.ts';
const IDS = 'src/core/ids.ts';
const TERM_FUSE = 'src/raft/termFuse.ts';
const FOLLOWING = 'src/raft/following.ts';
const LEADERSHIP = 'src/raft/leadership.ts';
const TRANSFER = 'src/raft/transfer.ts';
const PROGRESS = 'src/raft/progress.ts';
const OFFICE = 'src/replication/office.ts';
const PERFORMER = 'src/replication/performer.ts';
const APPENDS = 'src/node/appends.ts';
const CHAIN = 'src/node/chain.ts';
const TAIL = 'src/memory/tail.ts';
const MEMORY = 'src/memory/tailMemory.ts';
const WRITER = 'src/storage/segmentWriter.ts';
const TRUNCATION = 'src/storage/truncation.ts';
const LOADER = 'src/storage/segmentLoader.ts';
const HANG_WATCH = 'src/replication/hangWatch.ts';
const FEED = 'src/replication/feed.ts';
const FOUNDER = 'src/replication/founder.ts';
const DIRECTORY = 'src/storage/dataDirectory.ts';

export const MUTANTS: readonly Mutant[] = [
  // Elections
  {
    name: 'vote not saved',
    what: 'B1: the term is on disk before an answer, the vote is not (hashicorp/raft#661, seaweedfs/raft#9)',
    patches: [
      {
        file: PERFORMER,
        find: 'currentTerm: effect.currentTerm, votedFor: effect.votedFor',
        replace: 'currentTerm: effect.currentTerm, votedFor: 0',
      },
    ],
    foundBy: ['election safety'],
    withinSeeds: 20,
  },
  {
    name: 'two votes',
    what: 'B2: two votes in one term (camunda#5356)',
    patches: [{ file: STATE, find: 'if (this.votedFor === 0) {', replace: 'if (this.votedFor !== candidate) {' }],
    foundBy: ['election safety'],
    withinSeeds: 100,
  },
  {
    name: 'step-down clears the vote',
    what: 'B3: a step-down within a term forgets the vote of that term (microsoft/CCF#8094)',
    patches: [
      {
        file: RAFT,
        find: 'this.#state.leader = leader;',
        replace: 'this.#state.leader = leader; if (!isNewTerm) this.#state.votedFor = 0;',
      },
    ],
    foundBy: ['election safety'],
    withinSeeds: 50,
  },
  {
    name: 'half is a majority',
    what: 'an election is won with half of the votes, which is none of an even number of nodes',
    patches: [
      {
        file: ELECTIONS,
        find: 'return this.#state.members.isMajority(nodes.size);',
        replace: 'return nodes.size * 2 >= this.#state.members.voterCount;',
      },
    ],
    foundBy: ['election safety', 'leader completeness', 'committed bytes'],
    withinSeeds: 300,
    foundAt: 39,
  },
  {
    name: 'longer log not needed',
    what: 'a vote looks at the last term only, not at where the log ends (dissertation, 3.6.1)',
    patches: [{ file: RAFT, find: '(lastTerm === this.log.lastTerm && end >= this.log.end)', replace: 'lastTerm === this.log.lastTerm' }],
    foundBy: ['leader completeness', 'committed bytes'],
    withinSeeds: 200,
    foundAt: 17,
  },
  {
    name: 'wiped node votes',
    what: 'B13: a node that lost its disk votes as if it had not (KIP-853)',
    patches: [
      { file: STATE, find: "return this.standing === 'voter' ||", replace: "return this.standing !== 'new' ||" },
      { file: STATE, find: 'doesCount(this.standing) ? votedFor : this.settings.id', replace: 'votedFor' },
    ],
    foundBy: ['election safety', 'leader completeness', 'committed bytes'],
    withinSeeds: 500,
    foundAt: 108,
  },
  {
    name: 'old copy never fed',
    what: 'R11: what a node had acknowledged never falls, so that one on an old copy of its disk is neither noticed nor fed',
    patches: [{ file: LEADERSHIP, find: 'message.rejected < had || has >= had', replace: 'has >= 0' }],
    foundBy: ['old copies'],
    withinSeeds: 40,
    foundAt: 17,
  },
  {
    name: 'old copy counts at once',
    what: 'R11: a node on an old copy of its disk is fed, and keeps its vote and its weight',
    patches: [{ file: LEADERSHIP, find: 'progress.isOldCopy = message.isVoter;', replace: 'progress.isOldCopy = false;' }],
    foundBy: ['old copies'],
    withinSeeds: 40,
    foundAt: 17,
  },
  {
    name: 'late answers accuse',
    what: 'R11: an answer that comes late, from before a node had what it acknowledged later, makes it an old copy',
    patches: [{ file: PROGRESS, find: 'round > this.#matchRound', replace: 'round >= 0' }],
    foundBy: ['old copies'],
    withinSeeds: 200,
    foundAt: 11,
  },
  {
    name: 'new nodes elect each other',
    what: 'nodes that join a founder do not wait for what it had committed alone',
    patches: [
      { file: STATE, find: 'candidate === this.founder', replace: 'candidate > 0' },
      { file: RAFT, find: "return this.#state.standing === 'voter' && !", replace: "return this.#state.standing !== 'stranger' && !" },
    ],
    foundBy: ['leader completeness', 'committed bytes', 'convergence'],
    withinSeeds: 300,
    foundAt: 5,
  },
  // The set of nodes, and how it begins
  {
    name: 'begins after silence',
    what: 'R3: a node with an empty disk begins a cluster when it has waited for a while, and with one that had never started has a majority',
    patches: [
      {
        file: 'src/peers/foundingRule.ts',
        find: 'return this.#isLowest && Array.from(this.#askedAtMs.keys()).every((node) => this.isEmpty(node, nowMs));',
        replace: 'return this.#isLowest && nowMs > 300;',
      },
    ],
    foundBy: ['election safety', 'log matching', 'committed bytes', 'leader completeness', 'progress', 'convergence'],
    withinSeeds: 200,
    foundAt: 41,
  },
  {
    name: 'list not kept',
    what: 'R2a: a node takes the list that it is started with, whatever list its directory has',
    patches: [
      { file: 'src/node/membership.ts', find: 'if (nodes !== null && !isSameSet(nodes, given)) {', replace: 'if (given === null) {' },
    ],
    foundBy: ['election safety', 'log matching', 'committed bytes', 'leader completeness', 'majority', 'progress', 'convergence'],
    withinSeeds: 300,
    foundAt: 2,
  },
  {
    name: 'lists not compared',
    what: 'R2a: nodes of different lists talk with each other, and each counts by its own',
    patches: [{ file: 'src/protocol/peerJudgement.ts', find: 'isSameSet(nodes, self.nodes))', replace: 'nodes.length > 0)' }],
    foundBy: ['election safety', 'log matching', 'committed bytes', 'leader completeness', 'majority', 'progress', 'convergence'],
    withinSeeds: 300,
  },
  {
    name: 'founder by its id',
    what: 'R10: new nodes take the lowest id for the founder, whoever it is',
    patches: [{ file: STATE, find: 'candidate === this.founder', replace: 'candidate === Math.min(...this.members.list)' }],
    foundBy: ['leader completeness', 'committed bytes', 'progress', 'convergence'],
    withinSeeds: 100,
    foundAt: 2,
  },
  {
    name: 'lowered size taken',
    what: 'R10: a node runs with smaller segments than those that its directory has',
    patches: [
      {
        file: 'src/node/membership.ts',
        find: 'Math.max(segmentBytes, unsealed, isAlone ? 0 : segmentBytesOf(disk, directory))',
        replace: 'segmentBytes',
      },
    ],
    foundBy: ['soundness', 'progress', 'convergence'],
    withinSeeds: 100,
    foundAt: 79,
  },
  // Commit
  {
    name: 'old terms counted',
    what: 'B4: entries of earlier terms are committed by counting (figure 8; logcabin#44, canonical/raft#220, CCF#5674)',
    patches: [{ file: 'src/raft/quorum.ts', find: 'majority >= termStartEnd && ', replace: '' }],
    foundBy: ['own term', 'leader completeness', 'committed bytes'],
    withinSeeds: 100,
    foundAt: 2,
  },
  {
    name: 'term start not passed',
    what: 'B5: the commit moves to where the no-op begins, not past it (KAFKA-12619)',
    patches: [{ file: 'src/raft/quorum.ts', find: 'majority >= termStartEnd && ', replace: 'majority >= termStartEnd - 20 && ' }],
    foundBy: ['own term', 'leader completeness', 'committed bytes'],
    withinSeeds: 200,
    foundAt: 2,
  },
  {
    name: 'commit past the verified prefix',
    what: "B6: a follower takes the leader's commit without looking how far the logs agree (copycat#265, ra#508, cockroach#36353)",
    patches: [
      {
        file: FOLLOWING,
        find: 'Math.min(this.#leaderCommit, this.#verified)',
        replace: 'Math.min(this.#leaderCommit, this.#core.log.end)',
      },
    ],
    foundBy: ['committed bytes'],
    withinSeeds: 100,
    foundAt: 3,
  },
  {
    name: 'received counts as durable',
    what: 'a follower says that it has on disk what it has in memory',
    patches: [{ file: FOLLOWING, find: 'durable: Math.min(durable, offset)', replace: 'durable: offset' }],
    foundBy: ['durability'],
    withinSeeds: 20,
  },
  {
    name: 'leader counts what was received',
    what: 'a leader counts a follower that has an entry in memory',
    patches: [
      {
        file: LEADERSHIP,
        find: 'progress.agreed(offset, durable, this.#round);',
        replace: 'progress.agreed(offset, offset, this.#round);',
      },
    ],
    foundBy: ['majority', 'leader completeness'],
    withinSeeds: 50,
  },
  {
    name: 'leader counts itself early',
    what: 'B10: a node counts its own log before it is on its disk (etcd#14370)',
    patches: [{ file: LEADERSHIP, find: 'this.#ofVoters(durable,', replace: 'this.#ofVoters(this.#core.log.end,' }],
    foundBy: ['majority', 'leader completeness'],
    withinSeeds: 50,
    foundAt: 6,
  },
  {
    name: 'commit remembered too far',
    what: 'B11: a node that starts takes all that is on its disk for committed (etcd#13766)',
    patches: [{ file: STATE, find: 'this.commit = commit;', replace: 'this.commit = log.end;' }],
    foundBy: ['committed bytes', 'visibility'],
    withinSeeds: 50,
    foundAt: 2,
  },
  // Divergence
  {
    name: 'commit forgotten at a restart',
    what: 'R4: a node that comes back takes nothing for committed, and lets the first who speaks cut it',
    patches: [{ file: STATE, find: 'this.commit = commit;', replace: 'this.commit = log.start;' }],
    foundBy: ['committed bytes'],
    withinSeeds: 20,
  },
  {
    name: 'entries of the next leader',
    what: 'B7: a leader that was overtaken still orders appends, stamped with the new term (camunda#5360)',
    patches: [
      { file: OFFICE, find: 'this.#gate.closeSync();', replace: '' },
      { file: APPENDS, find: 'return this.#memory.word(WORD.OPEN_TERM);', replace: 'return this.#memory.word(WORD.TERM);' },
    ],
    foundBy: ['log matching', 'soundness', 'committed bytes', 'transfers'],
    withinSeeds: 100,
    foundAt: 2,
  },
  {
    name: 'term table keeps a term',
    what: 'B8: a truncation at the start of a term leaves the term in the table (rafter#34)',
    patches: [{ file: 'src/raft/termTable.ts', find: '?.offset ?? -1) >= end', replace: '?.offset ?? -1) > end' }],
    foundBy: ['committed bytes', 'log matching', 'soundness'],
    withinSeeds: 100,
    foundAt: 3,
  },
  {
    name: 'truncation to the commit',
    what: 'B9: a follower that differs cuts its log down to its commit, and with it what it had acknowledged (KIP-101)',
    patches: [
      {
        file: FOLLOWING,
        find: "assert(this.#verified <= offset, 'what is the same as the leader has is not cut');\n        this.#truncating = offset;",
        replace: 'offset = commit; this.#verified = Math.min(this.#verified, offset); this.#truncating = offset;',
      },
    ],
    foundBy: ['old copies', 'majority', 'leader completeness', 'committed bytes', 'durability', 'convergence', 'progress'],
    withinSeeds: 300,
    foundAt: 28,
  },
  {
    name: 'offsets compared without terms',
    what: 'B9: logs that have the same length pass for the same (KIP-279)',
    patches: [{ file: FOLLOWING, find: 'if (isSameTerm(own, prev))', replace: 'if (isSameTerm(own, prev) || own.term > 0)' }],
    foundBy: ['log matching', 'committed bytes', 'soundness', 'old copies'],
    withinSeeds: 100,
    foundAt: 3,
  },
  {
    name: 'nothing cut below a longer log',
    what: 'a follower with more entries than the leader keeps those that differ',
    patches: [{ file: FOLLOWING, find: 'if (isSameTerm(log.at(from), entries))', replace: 'if (log.at(from).term <= entries.term)' }],
    foundBy: ['majority', 'progress', 'log matching', 'committed bytes', 'soundness', 'convergence', 'old copies'],
    withinSeeds: 200,
    foundAt: 3,
  },
  // Reads
  {
    name: 'read without a majority',
    what: 'B14: a leader answers ReadIndex without asking whether it still leads (etcd#741, etcd#20418)',
    patches: [{ file: 'src/raft/reads.ts', find: '(each) => each.round <= round', replace: '() => true' }],
    foundBy: ['history'],
    withinSeeds: 500,
    foundAt: 48,
  },
  {
    name: 'read before the term is committed',
    what: 'B14: a leader answers ReadIndex before it has committed in its own term (etcd#7331)',
    patches: [
      { file: LEADERSHIP, find: 'if (this.#ownTermIsCommitted)\n            this.#reads.start', replace: 'this.#reads.start' },
      { file: LEADERSHIP, find: 'if (this.#reads.needsRound && this.#ownTermIsCommitted)', replace: 'if (this.#reads.needsRound)' },
    ],
    foundBy: ['history'],
    withinSeeds: 500,
    foundAt: 64,
  },
  {
    name: 'uncommitted bytes shown',
    what: 'B22: a reader sees what a truncation takes away later (redpanda#16475)',
    patches: [
      { file: 'src/memory/hotReader.ts', find: 'const commit = this.#memory.commit;', replace: 'const commit = this.#memory.tail;' },
    ],
    foundBy: ['visibility', 'history'],
    withinSeeds: 20,
    foundAt: 3,
  },
  {
    name: 'limit of a closed segment',
    what: "B23: the limit of a read comes from the segment's end, not from the commit (KAFKA-9835)",
    patches: [{ file: 'src/memory/hotReader.ts', find: 'Math.min(closedEnd, commit)', replace: 'closedEnd' }],
    foundBy: ['visibility'],
    withinSeeds: 200,
    foundAt: 6,
  },
  // Liveness
  {
    name: 'no check for a quorum',
    what: 'B16: a leader that hears from nobody goes on (KAFKA-15489, etcd#13527)',
    patches: [{ file: LEADERSHIP, find: 'return this.#core.members.isMajority(heard);', replace: 'return true;' }],
    foundBy: ['check quorum'],
    withinSeeds: 50,
    foundAt: 2,
  },
  {
    name: 'one campaign only',
    what: 'B18: a node whose rehearsal came to nothing never campaigns again (redpanda#21345)',
    patches: [
      {
        file: RAFT,
        find: 'else if (this.#elections.isDue) {',
        replace: "else if (this.#elections.isDue && this.#role !== 'preCandidate') {",
      },
    ],
    foundBy: ['progress'],
    withinSeeds: 100,
  },
  {
    name: 'elections wait long',
    what: 'a follower waits ten election timeouts before it campaigns',
    patches: [
      { file: ELECTIONS, find: 'electionTimeoutMs * (1 + random() / 2)', replace: 'electionTimeoutMs * (10 + random() / 2)' },
      { file: ELECTIONS, find: 'electionTimeoutMs * SOON', replace: 'electionTimeoutMs * 250 * SOON' },
    ],
    foundBy: ['progress'],
    withinSeeds: 100,
    foundAt: 12,
  },
  {
    name: 'split votes wait long',
    what: 'a candidate that got no majority waits nine election timeouts before it campaigns again',
    patches: [
      {
        file: ELECTIONS,
        find: 'const term = currentTerm + (isPreVote ? 1 : 0);',
        replace: 'this.#electionAtMs += 9 * this.#settings.electionTimeoutMs;\n        const term = currentTerm + (isPreVote ? 1 : 0);',
      },
    ],
    foundBy: ['progress'],
    withinSeeds: 400,
    foundAt: 259,
  },
  {
    name: 'hung disk keeps the office',
    what: 'B19: a leader whose disk hangs sends heartbeats and commits nothing (hashicorp/raft#683)',
    patches: [{ file: TRANSFER, find: 'this.#durableAtMs = nowMs;\n            this.begin();', replace: '' }],
    foundBy: ['progress'],
    withinSeeds: 1000,
    foundAt: 29,
  },
  {
    name: 'hung main thread keeps the office',
    what: 'A2: a leader whose main thread does not answer sends heartbeats and serves nobody',
    patches: [{ file: TRANSFER, find: 'if (this.#core.isHung)\n            this.begin();', replace: 'if (false) ;' }],
    foundBy: ['office', 'progress'],
    withinSeeds: 100,
    foundAt: 19,
  },
  {
    name: 'hung node is elected',
    what: 'A2: a node whose main thread does not answer campaigns, and is elected again',
    patches: [
      { file: RAFT, find: '&& !this.#state.isHung &&', replace: '&&' },
      { file: RAFT, find: "assert(!this.#state.isHung, 'a node that hangs takes no office');", replace: '' },
    ],
    foundBy: ['office'],
    withinSeeds: 150,
    foundAt: 95,
  },
  {
    name: 'hang outlasts an answer',
    what: 'A2: the heartbeats without a sign of the main thread are not counted anew when it gives one',
    patches: [{ file: HANG_WATCH, find: 'this.#beats = 0;', replace: '' }],
    foundBy: ['office'],
    withinSeeds: 20,
  },
  {
    name: 'a sleep is a hang',
    what: 'A2: the time without a sign of the main thread is counted, in which the raft thread stood still too (SIGSTOP, a sleeping machine)',
    patches: [{ file: HANG_WATCH, find: 'this.#beats += 1;', replace: 'this.#beats = (nowMs - this.#sinceMs) / this.#beatMs;' }],
    foundBy: ['office'],
    withinSeeds: 100,
    foundAt: 2,
  },
  {
    name: 'hung leader resigns unheard',
    what: 'A2: a leader whose main thread hangs resigns although nobody who could lead is heard: the others are not fed any more',
    patches: [
      {
        file: LEADERSHIP,
        find: 'this.transfer.look();',
        replace: 'if (this.#core.isHung && !this.transfer.begin()) return false;\n            this.transfer.look();',
      },
    ],
    foundBy: ['office'],
    withinSeeds: 100,
    foundAt: 19,
  },
  {
    name: 'office offered to a node that hangs',
    what: 'A2: leadership is handed to a node whose main thread hangs too, and given up when that does not take it',
    patches: [{ file: TRANSFER, find: ' || progress.isHung ||', replace: ' ||' }],
    foundBy: ['office'],
    withinSeeds: 100,
    foundAt: 19,
  },
  {
    name: 'last flush not reported',
    what: 'B26: nobody is woken by the last flush before a pause (redpanda#503, #31642)',
    patches: [{ file: MEMORY, find: 'this.raise(SIGNAL.DURABLE);', replace: 'if (this.tail > end) this.raise(SIGNAL.DURABLE);' }],
    foundBy: ['progress', 'convergence'],
    withinSeeds: 50,
  },
  {
    name: 'writers of a cluster commit',
    what: 'what the leader alone has on its disk counts as committed, although there are other nodes',
    patches: [
      {
        file: 'src/replication/nodesOfLog.ts',
        find: 'if (leadership === undefined || !members.isAlone)',
        replace: 'if (leadership === undefined)',
      },
    ],
    foundBy: ['majority'],
    withinSeeds: 20,
  },
  // Disk and segments
  {
    name: 'flush counts after a truncation',
    what: 'B25: what was flushed before a truncation counts for what was written behind it (redpanda#3114, #16105)',
    patches: [
      { file: RAFT, find: 'if (this.#following.isTruncating || offset', replace: 'if (offset' },
      { file: FOLLOWING, find: 'this.#core.setDurable(end);', replace: '' },
    ],
    foundBy: ['durability', 'majority', 'leader completeness', 'soundness'],
    withinSeeds: 200,
    foundAt: 3,
  },
  {
    name: 'found bytes not written again',
    what: 'E23: a start syncs what it found after the last mark, and does not write it again: after a sync that failed it is on no disk (ATC 2020)',
    patches: [{ file: 'src/storage/openSegment.ts', find: 'rewrite(context, file, RECOVERY_SLOT, durable, position);', replace: '' }],
    foundBy: ['durability'],
    withinSeeds: 100,
    foundAt: 60,
  },
  {
    name: 'sync tried again',
    what: 'B27: a sync that failed is tried again, and then has nothing to do (cockroach#37102, ATC 2020)',
    patches: [
      {
        file: WRITER,
        find: 'disk.dataSync(this.#file, from);',
        replace: 'try { disk.dataSync(this.#file, from); } catch { disk.dataSync(this.#file, from); }',
      },
    ],
    foundBy: ['durability'],
    withinSeeds: 200,
    foundAt: 60,
  },
  {
    name: 'directory not synced',
    what: 'B28: a new segment has a name that a power cut may take away (KAFKA-3968)',
    patches: [{ file: WRITER, find: 'disk.syncDirectory(directory);', replace: '' }],
    foundBy: ['durability'],
    withinSeeds: 20,
  },
  {
    name: 'renamed before it is synced',
    what: 'B29: the vote is replaced by a file that is not on disk yet (KAFKA-16541)',
    patches: [{ file: 'src/storage/disk.ts', find: 'disk.dataSync(file);', replace: '' }],
    foundBy: ['election safety', 'durability', 'soundness'],
    withinSeeds: 20,
  },
  {
    name: 'sync after the acknowledgement',
    what: 'B10: entries are published as durable before their sync',
    patches: [{ file: WRITER, find: 'disk.dataSync(this.#file, from);', replace: '' }],
    foundBy: ['durability'],
    withinSeeds: 20,
  },
  {
    name: 'segment that begins anywhere',
    what: 'B35: a follower opens a segment where its leader has none (KAFKA-6388)',
    patches: [{ file: TAIL, find: 'if (rolls && base !== tail)', replace: 'if (false)' }],
    foundBy: ['soundness', 'log matching', 'convergence', 'durability'],
    withinSeeds: 1000,
    foundAt: 447,
  },
  {
    name: 'empty segment kept',
    what: "B35: a truncation to a segment's base keeps the empty segment (redpanda#11450)",
    patches: [{ file: TRUNCATION, find: '(base) => base < offset)', replace: '(base) => base <= offset)' }],
    foundBy: ['soundness', 'log matching', 'convergence', 'progress'],
    withinSeeds: 300,
    foundAt: 19,
  },
  {
    name: 'cut entries stay on disk',
    what: 'a truncation forgets the entries in memory, and leaves them in the file',
    patches: [{ file: TRUNCATION, find: 'cut(context, slot, last, offset, removed.at(-1) ?? tail);', replace: '' }],
    foundBy: ['durability', 'log matching', 'soundness', 'leader completeness'],
    withinSeeds: 1000,
    foundAt: 363,
  },
  {
    name: 'part of a batch recovered',
    what: 'a node that starts keeps the entries of a batch whose end was not written',
    patches: [{ file: LOADER, find: 'SCAN_VERIFY | SCAN_WHOLE_BATCHES', replace: 'SCAN_VERIFY' }],
    foundBy: ['whole batches'],
    withinSeeds: 600,
    foundAt: 135,
  },
  {
    name: 'part of a batch sent',
    what: 'a leader sends the beginning of a batch without the rest',
    patches: [{ file: FEED, find: 'SCAN_FIRST_ALWAYS | SCAN_WHOLE_BATCHES;', replace: 'SCAN_FIRST_ALWAYS;' }],
    foundBy: ['whole batches', 'progress', 'convergence'],
    withinSeeds: 100,
    foundAt: 2,
  },
  // Terms
  {
    name: 'terms compared without their leaders',
    what: 'R2: two logs with the same term at an offset are taken for the same, although that term had two leaders',
    patches: [{ file: IDS, find: ' && left.leader === right.leader', replace: '' }],
    foundBy: ['committed bytes', 'log matching', 'soundness', 'data end', 'convergence'],
    withinSeeds: 100,
    foundAt: 19,
  },
  {
    name: 'a leap of terms is believed',
    what: 'R4: one false message of the largest term ends all elections for good',
    patches: [{ file: TERM_FUSE, find: 'return term - currentTerm <= MAX_TERM_STEP ||', replace: 'return true ||' }],
    foundBy: ['progress'],
    withinSeeds: 80,
    foundAt: 17,
  },
  // Clients
  {
    name: 'unknown told as failed',
    what: 'B36: a client that is told that its append failed appends it again (redpanda#3039)',
    patches: [
      { file: APPENDS, find: 'it may or may not end up in the log`, true)', replace: 'it may or may not end up in the log`, false)' },
    ],
    foundBy: ['history'],
    withinSeeds: 100,
    foundAt: 11,
  },
  {
    name: 'own node named by its memory',
    what: 'R14l: a receipt names the node that sends it when the entries are in its memory, and not yet on its disk',
    patches: [{ file: APPENDS, find: 'this.#memory.durable >= end ? 1', replace: 'this.#memory.tail >= end ? 1' }],
    foundBy: ['honest receipts'],
    withinSeeds: 20,
    foundAt: 6,
  },
  {
    name: 'all nodes named',
    what: 'R14q: a receipt names every node of the cluster, whatever each has',
    patches: [{ file: APPENDS, find: 'if (this.#memory.peers.match(id) >= end)', replace: 'if (end > 0)' }],
    foundBy: ['honest receipts'],
    withinSeeds: 20,
    foundAt: 2,
  },
  {
    name: "next leader's commit answers",
    what: 'B36: appends of a lost office are acknowledged by what the next leader committed in their place',
    patches: [
      { file: APPENDS, find: 'const commit = this.#memory.word(WORD.ENDED_COMMIT);', replace: 'const commit = this.#memory.tail;' },
    ],
    foundBy: ['history', 'visibility'],
    withinSeeds: 300,
    foundAt: 3,
  },
  // Founders
  {
    name: 'old founder admits',
    what: 'R11: a founder that came back with an old copy of its directory stays founder, and takes a node that lost its disk for new',
    patches: [
      { file: DIRECTORY, find: "identity.isFounder && standing !== 'returned'", replace: 'identity.isFounder' },
      { file: FOUNDER, find: 'this.#ports.isOldCopy(from);', replace: 'void from;' },
    ],
    foundBy: ['old copies'],
    withinSeeds: 400,
    foundAt: 91,
  },
  // Conditions and chains
  {
    name: 'only the end is expected',
    what: 'R1: an expected end is held against the end of the log alone, and not against where its data ends',
    patches: [{ file: CHAIN, find: 'if (dataEnd > expectedEnd)', replace: 'if (false)' }],
    foundBy: ['history'],
    withinSeeds: 20,
    foundAt: 2,
  },
  {
    name: 'chain around other data',
    what: 'R1: a link is done although other data was ordered after the one before it',
    patches: [{ file: CHAIN, find: 'if (this.#end !== dataEnd)', replace: 'if (false)' }],
    foundBy: ['history'],
    withinSeeds: 100,
    foundAt: 6,
  },
  {
    name: 'chain goes on after a refusal',
    what: 'R1: a link is done although the one before it was refused',
    patches: [{ file: CHAIN, find: 'if (this.#done !== number - 1)', replace: 'if (this.#done === 0)' }],
    foundBy: ['history'],
    withinSeeds: 300,
    foundAt: 38,
  },
  {
    name: 'follower forgets its data',
    what: 'R1: a follower that stores entries does not note where their data ends, and then leads',
    patches: [
      {
        file: TAIL,
        find: 'this.#publish(slot, tail, byteCount, count, points, dataEnd, ',
        replace: 'this.#publish(slot, tail, byteCount, count, points, 0, ',
      },
    ],
    foundBy: ['data end'],
    withinSeeds: 20,
  },
  {
    name: 'data end outlives a cut',
    what: 'R1: a truncation leaves the end of data behind the end of the log, and no condition holds any more',
    patches: [{ file: TRUNCATION, find: 'memory.setWord(WORD.DATA_END, dataEnd);', replace: '' }],
    foundBy: ['data end'],
    withinSeeds: 100,
    foundAt: 3,
  },
  ...SEGMENT_MUTANTS,
  ...ADMISSION_MUTANTS,
  ...ENGINE_MUTANTS,
  ...UPLOAD_MUTANTS,
  ...DEATH_MUTANTS,
  ...DISK_MUTANTS,
  ...LOG_STATE_MUTANTS,
  ...TRIM_MUTANTS,
  ...SESSION_MUTANTS,
  ...TOKEN_MUTANTS,
  ...CONSUMER_MUTANTS,
  ...SEAL_MUTANTS,
  ...HEAL_MUTANTS,
  ...NODE_MUTANTS,
  ...OPEN_DAMAGE_MUTANTS,
  ...RETENTION_MUTANTS,
];
