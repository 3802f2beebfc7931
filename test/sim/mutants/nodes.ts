// Bugs of what nodes do around the core about the set of nodes in the log: how it is written, read, rolled back and found again.

import { SETS_FROM } from '../sets.ts';
import type { Mutant } from './mutant.ts';

const OFFICE = 'src/replication/office.ts';
const PERFORMER = 'src/replication/performer.ts';
const NODES = 'src/replication/nodesOfLog.ts';
const FOUND = 'src/storage/foundNodes.ts';

export const NODE_MUTANTS: readonly Mutant[] = [
  {
    name: 'change of nodes answered before its commit',
    what: 'who asks for a change of nodes is told that it is done when it is in the log, which may be cut',
    patches: [{ file: 'src/node/members.ts', find: 'memory.commit >= end && memory.word', replace: 'end > 0 && memory.word' }],
    foundBy: ['sets of nodes'],
    from: SETS_FROM,
    withinSeeds: 40,
    foundAt: 10_008,
  },
  {
    name: 'set of nodes passed over by a follower',
    what: 'a follower stores a configuration, and its core does not hear of it',
    patches: [
      {
        file: PERFORMER,
        find: 'this.#raft.stored(message, outcome, this.#nodes.said());',
        replace: 'this.#raft.stored(message, outcome);',
      },
    ],
    foundBy: ['sets of nodes'],
    from: SETS_FROM,
    withinSeeds: 40,
  },
  {
    name: 'set of nodes found as it was committed',
    what: 'a start takes the last set that was committed for the one in force: a configuration counts from where it is appended',
    patches: [
      {
        file: FOUND,
        find: 'return { configurations, removed, isUnknown: false };',
        replace: 'return { configurations: configurations.filter(({ end }) => end <= log.commit), removed, isUnknown: false };',
      },
    ],
    foundBy: ['sets of nodes', 'soundness'],
    from: SETS_FROM,
    withinSeeds: 200,
    foundAt: 10_008,
  },
  {
    name: 'set of nodes forgotten at a start',
    what: 'a start takes the log for one that says nothing of its nodes, so ids count again',
    patches: [{ file: FOUND, find: '.level < MEMBERS_LEVEL', replace: '.level < Number.POSITIVE_INFINITY' }],
    foundBy: ['sets of nodes', 'soundness'],
    from: SETS_FROM,
    withinSeeds: 40,
  },
  {
    name: 'set of nodes kept after a cut in memory',
    what: 'the state of the log keeps the set whose entry was cut: the next segment says it again',
    patches: [{ file: 'src/memory/logFold.ts', find: 'nodes: NO_MEMBERS }', replace: 'nodes: this.nodes }' }],
    foundBy: ['sets of nodes', 'soundness', 'log state'],
    from: SETS_FROM,
    withinSeeds: 400,
    foundAt: 10_001,
  },
  {
    name: 'stranger listed as a voter',
    what: 'the first set has every node as a voter, although one does not count yet: it may be admitted by ids as well',
    patches: [
      {
        file: 'src/raft/changes.ts',
        find: "role: isVoter ? 'voter' : 'learner'",
        replace: "role: isVoter || !mayLead ? 'voter' : 'learner'",
      },
    ],
    foundBy: ['sets of nodes'],
    from: SETS_FROM,
    withinSeeds: 60,
    foundAt: 10_021,
  },
  {
    name: 'lost disk replaced in one entry',
    what: 'a node that lost its disk stays a voter with the next one: the core refuses that, and the node never counts again',
    patches: [{ file: NODES, find: "role: member.role === 'reader' ? 'reader' : 'learner' }", replace: 'role: member.role }' }],
    foundBy: ['convergence', 'progress'],
    from: SETS_FROM,
    withinSeeds: 100,
    foundAt: 10_010,
  },
  {
    name: 'writers of a set of nodes commit',
    what: 'what the leader alone has on its disk counts as committed, although its set has other nodes',
    patches: [{ file: NODES, find: 'if (leadership === undefined || !members.isAlone)', replace: 'if (leadership === undefined)' }],
    foundBy: ['majority'],
    from: SETS_FROM,
    withinSeeds: 40,
  },
  {
    name: 'commit left to the writers of a node that gets others',
    what: 'a node alone adds another one, and its writers go on to commit what they alone have',
    patches: [{ file: OFFICE, find: 'this.#memory.takeCommitBack();', replace: '' }],
    foundBy: ['majority', 'soundness', 'convergence', 'progress', 'history'],
    from: SETS_FROM,
    withinSeeds: 200,
    foundAt: 10_011,
  },
  {
    name: 'removed directory welcome',
    what: 'who was removed is greeted as any other node of the cluster',
    patches: [{ file: 'src/protocol/peerJudgement.ts', find: 'if (self.isRemoved(from, hello.instance))', replace: 'if (from < 0)' }],
    foundBy: ['removed nodes'],
    from: SETS_FROM,
    withinSeeds: 200,
    foundAt: 10_008,
  },
  {
    name: 'founder’s list unsaid',
    what: 'E160: a node that was given a list does not say for whom it waits, so another leader does not add who comes late',
    patches: [{ file: NODES, find: 'members.committedSet.length === 0 || this.isListless ? []', replace: 'members.list.length >= 0 ? []' }],
    foundBy: ['convergence'],
    from: 10_505,
    withinSeeds: 100,
    foundAt: 10_548,
  },
  {
    name: 'level raised before all know it',
    what: 'a level is raised although one node has not said that it knows it: that one cannot take part any more',
    patches: [
      {
        file: 'src/node/levels.ts',
        find: 'node.isConnected && node.levels !== null && knowsLevel(node.levels, newest)',
        replace: 'node.isConnected',
      },
    ],
    foundBy: ['levels'],
    from: SETS_FROM,
    withinSeeds: 10,
  },
  {
    name: 'level raised while a node is away',
    what: 'a level is raised by what a node said before it left: it may come back with an older build',
    patches: [{ file: 'src/node/levels.ts', find: 'node.isConnected && node.levels !== null', replace: 'node.levels !== null' }],
    foundBy: ['levels'],
    from: SETS_FROM,
    withinSeeds: 10,
  },
];
