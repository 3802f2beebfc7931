// Bugs of changes of the set of nodes, which the simulation of cores alone finds (test/sim/members).

import type { Mutant } from './mutant.ts';

const MEMBERS = 'src/core/members.ts';
const MEMBERSHIP = 'src/raft/membership.ts';
const CHANGES = 'src/raft/changes.ts';
const ELECTIONS = 'src/raft/elections.ts';
const STATE = 'src/raft/state.ts';
const LEADERSHIP = 'src/raft/leadership.ts';
const RAFT = 'src/raft/raft.ts';
const TRANSFER = 'src/raft/transfer.ts';
const FUSE = 'src/raft/termFuse.ts';

export const MEMBER_MUTANTS: readonly Mutant[] = [
  {
    name: 'set in force when committed',
    what: 'the set in force is the last that is committed, not the last in the log (etcd#12359)',
    patches: [
      {
        file: MEMBERSHIP,
        find: 'return this.#configurations.at(-1);',
        replace: 'return this.#isCommitted ? this.#configurations[0] : undefined;',
      },
    ],
    foundBy: ['sets of nodes', 'election safety', 'leader completeness', 'committed bytes', 'majority', 'progress', 'soundness'],
    withinSeeds: 200,
  },
  {
    name: 'set kept after a truncation',
    what: 'a set stays in force whose entry was cut',
    patches: [{ file: MEMBERSHIP, find: 'filter((each) => each.end <= end)', replace: 'filter(() => end >= 0)' }],
    foundBy: ['soundness', 'sets of nodes', 'majority', 'election safety', 'progress', 'convergence'],
    withinSeeds: 400,
    foundAt: 279,
  },
  {
    name: 'change before an own entry',
    what: 'a leader changes the set before an entry of its own term is committed (Ongaro, raft-dev, 10 July 2015; copycat#23)',
    patches: [
      {
        file: LEADERSHIP,
        find: 'this.changes.begin(configuration, this.#ownTermIsCommitted)',
        replace: 'this.changes.begin(configuration, this.hasBegun)',
      },
    ],
    foundBy: ['sets of nodes', 'election safety', 'leader completeness', 'committed bytes', 'majority'],
    withinSeeds: 1_000,
  },
  {
    name: 'two changes at once',
    what: 'a set follows one that is not committed',
    patches: [
      {
        file: CHANGES,
        find: 'return this.#pending !== undefined || !this.#core.members.isSettled;',
        replace: 'return this.#pending !== undefined;',
      },
    ],
    foundBy: ['sets of nodes'],
    withinSeeds: 20,
  },
  {
    name: 'two nodes in one change',
    what: 'a set differs from the one before in any number of nodes',
    patches: [{ file: MEMBERS, find: 'if (id === undefined || changed.length !== 1)', replace: 'if (id === undefined)' }],
    foundBy: ['sets of nodes'],
    withinSeeds: 100,
    foundAt: 55,
  },
  {
    name: 'disk swapped in one change',
    what: 'a voter’s lost disk is replaced by another one in one step: majorities of before and after are disjoint',
    patches: [
      {
        file: MEMBERS,
        find: "return is.role !== 'voter' ? undefined :",
        replace: 'return is.id > 0 ? undefined :',
      },
      { file: CHANGES, find: 'if (members.instanceOf(id) !== instance)', replace: 'if (members.instanceOf(id) === undefined)' },
    ],
    foundBy: ['sets of nodes'],
    withinSeeds: 400,
    foundAt: 115,
  },
  {
    name: 'voter by its id alone',
    what: 'votes and acknowledgements count whatever disk a voter has now (KRaft, KIP-853: voters without directory ids)',
    patches: [
      {
        file: MEMBERSHIP,
        find: 'return instance !== undefined && hasDirectory(votersOf(latest.members), { id: node, instance });',
        replace: 'return votersOf(latest.members).some(({ id }) => id === node && instance !== undefined);',
      },
    ],
    foundBy: ['majority', 'election safety', 'leader completeness', 'committed bytes'],
    withinSeeds: 200,
    foundAt: 30,
  },
  {
    name: 'learner counts',
    what: 'whoever is in the set counts, whatever its role is',
    patches: [
      {
        file: MEMBERSHIP,
        find: 'return instance !== undefined && hasDirectory(votersOf(latest.members), { id: node, instance });',
        replace: 'return instance !== undefined && hasDirectory(latest.members, { id: node, instance });',
      },
    ],
    foundBy: ['check quorum', 'majority', 'election safety', 'leader completeness', 'committed bytes', 'soundness'],
    withinSeeds: 200,
    foundAt: 82,
  },
  {
    name: 'vote of anybody',
    what: 'a candidate counts the votes of nodes that are removed or learn',
    patches: [
      { file: ELECTIONS, find: 'if (!this.#state.members.isVoter(from))', replace: 'if (!this.#state.members.others.includes(from))' },
    ],
    foundBy: ['election safety', 'leader completeness', 'committed bytes'],
    withinSeeds: 2_000,
    foundAt: 15,
  },
  {
    name: 'removed leader counts itself',
    what: 'a leader that is not in the set counts its own disk',
    patches: [
      { file: LEADERSHIP, find: 'const values = isSelfVoter ? [own] : [];', replace: 'const values = isSelfVoter ? [own] : [own];' },
    ],
    foundBy: ['majority', 'soundness', 'committed bytes'],
    withinSeeds: 200,
  },
  {
    name: 'removed leader stays',
    what: 'a leader that is not in the set goes on when that is committed',
    patches: [{ file: CHANGES, find: 'members.isSelfVoter || this.#resignAtMs', replace: 'members.voterCount > 0 || this.#resignAtMs' }],
    foundBy: ['progress'],
    withinSeeds: 200,
    foundAt: 37,
  },
  {
    name: 'promotion of whoever is behind',
    what: 'a learner becomes a voter before it has what is committed (etcd#11633, kubeadm#3287)',
    patches: [{ file: CHANGES, find: 'progress.match < commit', replace: 'progress.match < 0' }],
    foundBy: ['sets of nodes'],
    withinSeeds: 100,
  },
  {
    name: 'address and role at once',
    what: 'a new address takes a role with it (etcd#21694)',
    patches: [
      { file: MEMBERS, find: 'return isRoleNew && isAddressNew ?', replace: 'return isRoleNew && isAddressNew && before.length > 99 ?' },
    ],
    foundBy: ['sets of nodes'],
    withinSeeds: 100,
  },
  {
    name: 'removed directory readmitted',
    what: 'a directory that was removed joins again (KAFKA-19850)',
    patches: [{ file: MEMBERS, find: 'if (hasDirectory(removed, is))', replace: 'if (hasDirectory(removed, is) && before.length > 99)' }],
    foundBy: ['sets of nodes'],
    withinSeeds: 200,
  },
  {
    name: 'stranger in the first set',
    what: 'the first set lists a node as voter that does not count yet',
    patches: [
      {
        file: CHANGES,
        find: "role: isVoter ? 'voter' : 'learner'",
        replace: "role: isVoter || mayLead || id > 0 ? 'voter' : 'learner'",
      },
    ],
    foundBy: ['sets of nodes'],
    withinSeeds: 200,
    foundAt: 45,
  },
  {
    name: 'first set of too few',
    what: 'the first set may leave out as many founders as do not count, so that majorities of the ids and of the set are disjoint',
    patches: [{ file: MEMBERS, find: 'if (majorityOf(ids.length) + majorityOf(voters) <= ids.length)', replace: 'if (voters < 1)' }],
    foundBy: ['sets of nodes'],
    withinSeeds: 4_000,
    foundAt: 3_281,
  },
  {
    name: 'known before it is durable',
    what: 'a stranger counts by its id as soon as it hears that there is a set, which a power cut takes from it',
    patches: [{ file: STATE, find: '&& this.members.committedEnd <= this.durable', replace: '&& this.members.committedEnd < Infinity' }],
    foundBy: ['election safety', 'leader completeness', 'committed bytes'],
    withinSeeds: 10_000,
    foundAt: 9_293,
  },
  {
    name: 'votes outlive the term’s leader',
    what: 'the votes of a campaign that another one won are a majority of the smaller set that it makes: two leaders of a term',
    patches: [{ file: ELECTIONS, find: 'heardLeader() {\n        this.#campaignTerm = 0;', replace: 'heardLeader() {' }],
    foundBy: ['election safety', 'soundness'],
    withinSeeds: 6_000,
    foundAt: 56,
  },
  {
    name: 'campaign without a set',
    what: 'a node whose log begins anew campaigns by the set of before',
    patches: [
      {
        file: MEMBERSHIP,
        find: 'this.#configurations = [];\n        this.#isCommitted = false;\n        this.#isUnknown = true;',
        replace: 'this.#isUnknown = this.#configurations.length < 0;',
      },
    ],
    foundBy: ['sets of nodes', 'election safety', 'leader completeness', 'committed bytes', 'soundness'],
    withinSeeds: 2_000,
    foundAt: 487,
  },
  {
    name: 'no vote for whoever is unknown',
    what: 'a node votes only for those in its own set: three of four alive elect nobody (hashicorp/raft, canonical/raft#137)',
    patches: [
      {
        file: STATE,
        find: "return this.standing === 'voter' ||",
        replace: "return (this.standing === 'voter' && this.members.isVoter(candidate)) ||",
      },
    ],
    foundBy: ['progress'],
    withinSeeds: 2_000,
    foundAt: 1_059,
  },
  {
    name: 'left out before it is committed',
    what: 'a node that a change leaves out does not campaign, also where it alone has that change (dissertation, 4.2.2)',
    patches: [
      {
        file: MEMBERSHIP,
        find: 'return wasByIds || this.#configurations.some(',
        replace: 'return wasByIds || this.#configurations.slice(-1).some(',
      },
    ],
    foundBy: ['progress'],
    withinSeeds: 2_000,
    foundAt: 122,
  },
  {
    name: 'majority out of reach',
    what: 'a change is begun that leaves no majority that can be reached (etcd#3477)',
    patches: [{ file: CHANGES, find: 'if (reached.length * 2 > voters.length)', replace: 'if (voters.length > 0)' }],
    foundBy: ['progress', 'sets of nodes'],
    withinSeeds: 1_000,
    foundAt: 284,
  },
  {
    name: 'agreement looked for where it was trimmed',
    what: 'a node whose log parts from the leader’s where that begins, and is longer, is asked for the same place for ever',
    patches: [{ file: LEADERSHIP, find: 'if (next < log.start || differsAtStart(log, message))', replace: 'if (next < log.start)' }],
    foundBy: ['convergence', 'progress'],
    withinSeeds: 4_000,
    foundAt: 3_499,
  },
  {
    name: 'removed directory is heard',
    what: 'a node acts on what a directory says whose removal is committed (hashicorp/raft#524, canonical/raft#137)',
    patches: [{ file: STATE, find: '!this.members.isRemoved(node)', replace: '(node > 0 || !this.members.isRemoved(node))' }],
    foundBy: ['sets of nodes'],
    withinSeeds: 400,
  },
  {
    name: 'leader outside its set hears itself',
    what: 'a leader that is not in the set counts itself among those that it hears, and leads on without a majority',
    patches: [{ file: LEADERSHIP, find: 'let heard = this.#core.members.isSelfVoter ? 1 : 0;', replace: 'let heard = 1;' }],
    foundBy: ['check quorum'],
    withinSeeds: 2_000,
    foundAt: 67,
  },
  {
    name: 'removed leader is not heard',
    what: 'who knows that the leader is removed hears it no more, before it has handed over',
    patches: [{ file: RAFT, find: 'return this.#state.isOther(from) ||', replace: 'return this.#state.isOther(from) || from < 0 &&' }],
    foundBy: ['progress'],
    withinSeeds: 400,
    foundAt: 35,
  },
  {
    name: 'first set that nobody has told',
    what: 'the first set may say of a node what it has not said of itself',
    patches: [{ file: CHANGES, find: 'return isTold', replace: 'return isTold || next.length > 0' }],
    foundBy: ['sets of nodes'],
    withinSeeds: 200,
  },
  {
    name: 'vote for any disk of an id',
    what: 'a vote that was given to one disk of a node is given to another one in the same term',
    patches: [
      {
        file: STATE,
        find: '(this.members.isByIds || this.#votedInstance === this.#instanceOf(candidate))',
        replace: '(this.members.isByIds || candidate > 0)',
      },
    ],
    foundBy: ['election safety'],
    withinSeeds: 4_000,
    foundAt: 16,
  },
  {
    name: 'terms by the id',
    what: 'a term is believed that a majority of ids greets with, whichever disks those nodes have',
    patches: [
      {
        file: FUSE,
        find: 'members.isVoterDirectory(directory)',
        replace: '(members.isVoterDirectory(directory) || members.otherVoters.includes(directory.id))',
      },
    ],
    foundBy: ['soundness'],
    withinSeeds: 400,
    foundAt: 51,
  },
  {
    name: 'reach of whoever cannot be fed',
    what: 'a change is begun whose majority needs a node that lacks what the leader has trimmed',
    patches: [{ file: CHANGES, find: 'return isFed && progress.isVoter', replace: 'return progress !== undefined && progress.isVoter' }],
    foundBy: ['sets of nodes', 'progress'],
    withinSeeds: 4_000,
    foundAt: 235,
  },
  {
    name: 'asks before the gate is closed',
    what: 'a leader that hangs, or is full, asks another node to take over in the turn in which its gate is to be closed: what came in until then ends as unknown',
    patches: [{ file: TRANSFER, find: '|| !underWay.isPaused || underWay.asked', replace: '|| underWay.asked' }],
    foundBy: ['transfers'],
    withinSeeds: 400,
    foundAt: 198,
  },
];
