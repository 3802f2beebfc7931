// The commit on its way from the disks to whoever waits for it, and what a receipt says of it.

import { assert } from '../../../src/core/assert.ts';
import { follow } from '../../../src/memory/follow.ts';
import { SIGNAL, STATE, WORD } from '../../../src/memory/map.ts';
import { Tail } from '../../../src/memory/tail.ts';
import type { TailMemory } from '../../../src/memory/tailMemory.ts';
import { CommitWatch } from '../../../src/node/commitWatch.ts';
import { NodeLoop } from '../../../src/node/loop.ts';
import type { Scenario } from '../explorer.ts';
import type { Bench, Body } from '../threads.ts';
import { SMALL } from './batches.ts';
import { TestMain } from './mainThread.ts';
import { emptyLog, TestReplica } from './replicas.ts';
import { alone, spinOfLooks } from './spins.ts';

const rethrow = (thrown: unknown): never => {
  throw thrown;
};

function start({ memory }: Bench): void {
  new Tail(memory, () => undefined).start(0, 0, undefined);
}

function waitUntil(memory: TailMemory, signal: number, isTrue: () => boolean): void {
  for (;;) {
    const seen = memory.signal(signal);
    if (isTrue()) return;
    memory.waitSync(signal, seen);
  }
}

/** A lone node's raft thread, which follows the disk until the writers commit without it. */
function leadsAlone(isNoopDurable: boolean): Body {
  return ({ memory }) => {
    const raft = new TestReplica(memory, [1], emptyLog(), 0);
    raft.campaign();
    if (isNoopDurable) memory.setWord(WORD.DURABLE, memory.tail);
    return () =>
      follow(
        memory,
        SIGNAL.DURABLE,
        () => memory.word32(STATE.SOLE) !== 0,
        () => raft.replica.durableMoved(),
      );
  };
}

const PEERS = [1, 2].map((id) => ({ id, host: `node${id}`, port: 1, peerPort: 2 }));

/** How far the raft thread knows that all is committed, once it does not leave that to the writers. */
const KNOWN = 'what the raft thread knows to be committed';

/** A lone node's raft thread that is asked to add another one: from then on nobody else moves the commit. */
const addsAnother: Body = ({ memory, ghost }) => {
  const raft = new TestReplica(memory, [1], emptyLog(), 0, { peers: PEERS });
  const { replica } = raft;
  raft.campaign();
  memory.setWord(WORD.DURABLE, memory.tail);
  replica.durableMoved();
  assert(memory.word32(STATE.SOLE) !== 0, 'a lone node leaves the commit to its writers');
  const main = new TestMain(memory, []);
  for (let i = 0; i < 2; i += 1) main.append(SMALL);
  const added = { kind: 'add', id: 2, instance: '2'.repeat(16), isReader: false, host: 'node2', port: 1, peerPort: 2 } as const;
  return () => {
    const refusal = replica.changeNodes(added);
    assert(refusal === undefined, 'a lone node adds another');
    ghost(KNOWN).set(replica.raft.commit);
  };
};

/** Its writer: the no-op reaches the disk, and what stands so many bytes behind it. */
function writesAlone(...behind: readonly number[]): Body {
  return ({ memory }) => {
    const noopEnd = memory.tail;
    return () => {
      for (const bytes of behind) memory.publishDurable(noopEnd + bytes);
    };
  };
}

/** A main thread with an append that waits for its receipt, as engine.ts has it. */
function awaitsReceipt(others: readonly number[], check: (nodes: number) => void): Body {
  return ({ memory }) => {
    const main = new TestMain(memory, others, () => watch.need());
    let settled: () => void = () => undefined;
    const isAnswered = new Promise<void>((resolve) => {
      settled = resolve;
    });
    const look = (): void => {
      main.appends.settle(0);
      if (main.outcomes.size > 0) settled();
    };
    const watch: CommitWatch = new CommitWatch(memory, new NodeLoop(memory, rethrow), () => main.appends.awaitsCommit, look);
    // The watch begins when the others do.
    const append = main.append.bind(main);
    return async () => {
      const id = append(SMALL);
      await isAnswered;
      const receipt = main.outcomes.get(id)?.receipt;
      assert(receipt !== undefined, 'it was committed');
      check(receipt.nodes);
    };
  };
}

/** The same, with an append that was ordered before, and a look at any time. */
const looksForReceipt: Body = ({ memory }) => {
  const main = new TestMain(memory, [2, 3]);
  const id = main.append(SMALL);
  const look = (): boolean => {
    main.appends.settle(0);
    return main.outcomes.size > 0;
  };
  return () => {
    waitUntil(memory, SIGNAL.COMMIT, look);
    assert(bits(main.outcomes.get(id)?.receipt?.nodes ?? 0) >= 2, 'the receipt names a majority');
  };
};

/** The raft thread of a leader, to whom the other nodes say that they have the append. */
function hears(...nodes: readonly number[]): Body {
  return ({ memory }) => {
    const raft = new TestReplica(memory, [1, 2, 3], emptyLog(), 0);
    raft.campaign();
    raft.win();
    const noopEnd = memory.tail;
    memory.setWord(WORD.DURABLE, noopEnd);
    raft.replica.durableMoved();
    raft.has(2, noopEnd);
    const end = noopEnd + SMALL.length;
    return () => {
      waitUntil(memory, SIGNAL.ORDERED, () => memory.tail >= end);
      raft.replica.logMoved();
      for (const node of nodes) {
        if (node !== 1) {
          raft.has(node, end);
          continue;
        }
        waitUntil(memory, SIGNAL.DURABLE, () => memory.durable >= end);
        raft.replica.durableMoved();
      }
    };
  };
}

/** The writer of the append's own node. */
const writes: Body = ({ memory }) => {
  const end = memory.tail;
  return () => memory.publishDurable(end);
};

function bits(nodes: number): number {
  return [0, 1, 2].filter((bit) => (nodes & (1 << bit)) !== 0).length;
}

/** Something that waits for the commit to reach one offset after the other. */
const watches =
  (spins: boolean): Body =>
  ({ memory }) => {
    let target = 10;
    let done: () => void = () => undefined;
    const isOver = new Promise<void>((resolve) => {
      done = resolve;
    });
    const watch = new CommitWatch(
      memory,
      new NodeLoop(memory, rethrow, spins ? spinOfLooks(memory, 1) : undefined),
      () => target > 0,
      () => {
        if (target === 10 && memory.commit >= target) target = 20;
        if (memory.commit < target) return;
        target = 0;
        done();
      },
    );
    return async () => {
      if (memory.commit >= target) target = 20;
      watch.need();
      await isOver;
    };
  };

const commits: Body = ({ memory }) => {
  return () => {
    for (const offset of [10, 20]) {
      memory.liftWord(WORD.COMMIT, offset);
      memory.raise(SIGNAL.COMMIT);
    }
  };
};

export const COMMIT_SCENARIOS: readonly Scenario[] = [
  {
    name: 'a lone node commits',
    what: 'what is durable on a lone node is committed, whoever of the writer and the raft thread comes first',
    setUp: start,
    threads: { raft: leadsAlone(false), writer: writesAlone(0, SMALL.length) },
    // It waits for its end.
    daemons: ['raft'],
    final: ({ word }) => assert(word(WORD.COMMIT) === word(WORD.DURABLE), 'all that is durable on a lone node is committed'),
  },
  {
    name: 'a lone node answers',
    what: 'who waits for a commit on a lone node is woken, whoever of the writer and the raft thread moves it',
    setUp: start,
    threads: {
      raft: leadsAlone(true),
      writer: writesAlone(SMALL.length),
      main: ({ memory }) => {
        const end = memory.tail + SMALL.length;
        return () => waitUntil(memory, SIGNAL.COMMIT, () => memory.commit >= end);
      },
    },
    daemons: ['raft'],
  },
  {
    name: 'a lone node gets another',
    what: 'once another node is to have a say, the raft thread knows of all that the writers committed, and they commit nothing more',
    setUp: start,
    threads: { raft: addsAnother, writer: writesAlone(-SMALL.length, 0) },
    final: ({ word }) => assert(word(WORD.COMMIT) === word(KNOWN), 'nobody else moves the commit after it was taken back'),
  },
  {
    name: 'two lift the commit',
    what: 'a word that two threads lift never goes back',
    setUp: start,
    threads: {
      raft:
        ({ memory }) =>
        () =>
          memory.liftWord(WORD.COMMIT, 20),
      writer:
        ({ memory }) =>
        () => {
          memory.liftWord(WORD.COMMIT, 10);
          memory.liftWord(WORD.COMMIT, 30);
        },
    },
    final: ({ word }) => assert(word(WORD.COMMIT) === 30, 'the commit is the highest'),
  },
  {
    name: 'the commit is watched',
    what: 'no move of the commit is missed by what waits for it',
    setUp: start,
    threads: { main: watches(false), raft: commits },
  },
  {
    name: 'the commit is watched, spinning',
    what: 'the same by a main thread that stays in its event loop for a moment before it sleeps',
    setUp: alone(start),
    threads: { main: watches(true), raft: commits },
  },
  {
    name: 'receipt with a majority of others',
    what: 'a receipt names those who have the entry on disk: a majority, and not this node before its disk says so',
    setUp: start,
    threads: {
      raft: hears(2, 3),
      main: awaitsReceipt([2, 3], (nodes) => assert(nodes === 0b110, 'the receipt names the two others')),
    },
  },
  {
    name: 'receipt with this node',
    what: 'a receipt names a majority, also when it is made as soon as the commit has moved',
    setUp: start,
    threads: {
      raft: hears(1, 2),
      main: looksForReceipt,
      writer: writes,
    },
  },
];
