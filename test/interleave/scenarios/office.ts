// The office of a leader: it begins and ends on the raft thread while the main thread orders and answers appends.

import { ENTRY_TERM_AT, NO_OP_BYTES, SEGMENT_HEADER_BYTES } from '../../../assembly/layout.ts';
import { assert } from '../../../src/core/assert.ts';
import { Gate } from '../../../src/memory/gate.ts';
import { SIGNAL, WORD } from '../../../src/memory/map.ts';
import { Tail } from '../../../src/memory/tail.ts';
import type { TailMemory } from '../../../src/memory/tailMemory.ts';
import { TermTable } from '../../../src/raft/termTable.ts';
import { stampBatch, stampNoOp } from '../../crash/batches.ts';
import type { Scenario } from '../explorer.ts';
import type { Bench, Body } from '../threads.ts';
import { OTHER, SMALL } from './batches.ts';
import { TestMain } from './mainThread.ts';
import { emptyLog, OTHER_LEADER, TestReplica } from './replicas.ts';

const NODES = [1, 2, 3];
const OTHERS = [2, 3];

function start({ memory }: Bench): void {
  new Tail(memory, () => undefined).start(0, 0, undefined);
}

/** A replica that leads in term 1, whose no-op is committed, and the gate open. */
function leader(memory: TailMemory, truncate: (offset: number) => void = () => undefined): TestReplica {
  const raft = new TestReplica(memory, NODES, emptyLog(), 0, { truncate });
  raft.campaign();
  raft.win();
  memory.setWord(WORD.DURABLE, memory.tail);
  raft.replica.durableMoved();
  raft.has(2, memory.tail);
  assert(memory.commit === memory.tail, 'the term has begun');
  return raft;
}

/** Looks at the commit and the office each time that the latter changes, until `isOver`. */
function settleUntil(memory: TailMemory, main: TestMain, isOver: () => boolean): void {
  for (;;) {
    const seen = memory.signal(SIGNAL.ROLE);
    main.appends.settle(0);
    if (isOver()) return;
    memory.waitSync(SIGNAL.ROLE, seen);
  }
}

const inside: Body = ({ memory, ghost }) => {
  const gate = new Gate(memory);
  return () => {
    for (let turn = 0; turn < 2; turn += 1) {
      if (!gate.enter()) continue;
      assert(ghost('inside').add(1) === 0, 'two threads own the log end');
      ghost('inside').add(-1);
      gate.leave();
    }
  };
};

const takesBack: Body = ({ memory, ghost }) => {
  const gate = new Gate(memory);
  return () => {
    for (let turn = 0; turn < 2; turn += 1) {
      gate.closeSync();
      assert(ghost('inside').add(1) === 0, 'two threads own the log end');
      ghost('inside').add(-1);
      gate.open();
    }
  };
};

/** A client appends as soon as there is a leader. */
const appendsEarly: Body = ({ memory }) => {
  const main = new TestMain(memory, OTHERS);
  return () => {
    const { counters } = main.appends;
    for (;;) {
      const seen = memory.signal(SIGNAL.ROLE);
      const id = main.append(SMALL);
      if (!main.outcomes.has(id)) {
        settleUntil(memory, main, () => counters.entries > 0);
        break;
      }
      memory.waitSync(SIGNAL.ROLE, seen);
    }
    const end = memory.tail;
    const at = memory.map.slotAt(0) + SEGMENT_HEADER_BYTES + end - SMALL.length;
    assert(memory.u32(at + ENTRY_TERM_AT) === 1, 'the entry has the term in which this node leads');
  };
};

/** A client's append waits since an office before this one: it came while the gate was closed for a moment. */
const holds: Body = ({ memory }) => {
  const main = new TestMain(memory, OTHERS);
  memory.setWord(WORD.OPEN_TERM, 1);
  const held = main.append(SMALL);
  assert(main.appends.awaitsCommit && !main.outcomes.has(held), 'it is held');
  memory.setWord(WORD.OPEN_TERM, 0);
  return () => {
    const { counters } = main.appends;
    // A segment was sealed: there may be room.
    main.appends.retryHeld();
    settleUntil(memory, main, () => counters.entries > 0 || main.outcomes.has(held));
    if (counters.entries === 0) return;
    const at = memory.map.slotAt(0) + SEGMENT_HEADER_BYTES + memory.tail - SMALL.length;
    assert(memory.u32(at + ENTRY_TERM_AT) === 1, 'the entry has the term in which this node leads');
  };
};

const begins: Body = ({ memory }) => {
  const raft = new TestReplica(memory, NODES, emptyLog(), 0);
  raft.campaign();
  return () => {
    raft.win();
    assert(raft.replica.raft.role === 'leader', 'it was elected');
    // What came in through the gate is taken note of with the next news.
    raft.replica.logMoved();
  };
};

/** Commits the first append of the main thread, and then hears of another leader. */
const ends: Body = ({ memory }) => {
  const raft = leader(memory);
  const noopEnd = memory.tail;
  return () => {
    const end = noopEnd + SMALL.length;
    raft.replica.logMoved();
    raft.has(2, end);
    raft.has(3, end);
    assert(raft.replica.raft.commit === end, 'it is committed');
    raft.follow(2, { term: 2, prevTerm: 1, prevOffset: end, commit: end });
    assert(raft.replica.raft.log.end === memory.tail, 'what was ordered in an office is known to be in the log when it ends');
  };
};

const appendsAtItsEnd: Body = ({ memory }) => {
  const main = new TestMain(memory, OTHERS);
  const committed = main.append(SMALL);
  return () => {
    const late = main.append(OTHER);
    settleUntil(memory, main, () => main.outcomes.size === 2);
    assert(main.outcomes.get(committed)?.receipt !== undefined, 'what was committed in an office is acknowledged');
    assert(main.outcomes.get(late)?.receipt === undefined, 'what was not committed in an office is not acknowledged');
  };
};

/** A first office in term 1 has ended, in which an append was ordered that was cut in term 2; now one in term 3 ends. */
const endsAgain: Body = ({ memory }) => {
  const end = memory.tail;
  const raft = new TestReplica(memory, NODES, new TermTable(0, end, [{ term: 2, offset: 0, leader: OTHER_LEADER }]), 2);
  memory.setWord(WORD.DURABLE, end);
  raft.campaign();
  raft.win();
  raft.has(2, memory.tail);
  raft.has(3, memory.tail);
  assert(
    memory.commit > end && memory.word(WORD.ENDED_TERM) === 1,
    'the term is committed, and the office of term 1 is the last that ended',
  );
  return () => raft.follow(2, { term: 4, prevTerm: 3, prevOffset: raft.replica.raft.log.end, commit: 0 });
};

/** The main thread has not looked since the office of term 1. */
const settlesLate: Body = ({ memory }) => {
  const main = new TestMain(memory, OTHERS);
  const gate = new Gate(memory);
  memory.setWord(WORD.OPEN_TERM, 1);
  gate.open();
  const cut = main.append(SMALL);
  gate.closeSync();
  memory.setWord(WORD.ENDED_COMMIT, 0);
  memory.setWord(WORD.ENDED_TERM, 1);
  memory.setWord(WORD.OPEN_TERM, 0);
  return () => {
    main.appends.settle(0);
    const outcome = main.outcomes.get(cut);
    assert(outcome?.isUnknown === true, 'what a lost office left open is acknowledged by what another one committed');
  };
};

/** The append of the main thread gives way to what the next leader has there, and that is committed. */
const givesWay: Body = ({ memory }) => {
  let cutAt: number | undefined;
  const raft = leader(memory, (offset) => {
    cutAt = offset;
  });
  const noopEnd = memory.tail;
  const bytes = Buffer.concat([stampNoOp(OTHER_LEADER, 2, noopEnd), stampBatch(OTHER, 2, noopEnd + NO_OP_BYTES)]);
  const request = { term: 2, prevTerm: 1, prevOffset: noopEnd, commit: noopEnd + bytes.length };
  return () => {
    raft.replica.logMoved();
    raft.follow(2, request, bytes);
    if (cutAt === undefined) return;
    memory.setWord(WORD.DURABLE, cutAt);
    memory.setWord(WORD.TAIL, cutAt);
    raft.replica.truncated(cutAt);
    raft.follow(2, request, bytes);
    assert(memory.commit === noopEnd + bytes.length, "the next leader's entry is committed");
  };
};

const settlesMeanwhile: Body = ({ memory }) => {
  const main = new TestMain(memory, OTHERS);
  const cut = main.append(SMALL);
  return () => {
    main.appends.settle(0);
    assert(main.outcomes.get(cut)?.receipt === undefined, 'an append is acknowledged by what the next leader committed in its place');
  };
};

export const OFFICE_SCENARIOS: readonly Scenario[] = [
  {
    name: 'gate',
    what: 'one thread at a time owns the end of the log, and both get on',
    setUp: ({ memory }) => new Gate(memory).open(),
    threads: { main: inside, raft: takesBack },
  },
  {
    name: 'office begins',
    what: 'an entry carries the term that its node leads in, and who waits for the office is woken',
    setUp: start,
    threads: { raft: begins, main: appendsEarly },
  },
  {
    name: 'office begins with an append held',
    what: 'an entry that waits for the gate carries the term of the office in which it opens',
    setUp: start,
    threads: { raft: begins, main: holds },
  },
  {
    name: 'office ends',
    what: 'what was committed in an office is acknowledged, what was not is not, and all is answered once',
    setUp: start,
    threads: { raft: ends, main: appendsAtItsEnd },
  },
  {
    name: 'two offices',
    what: 'an append of one office is not acknowledged by the commit of a later one',
    setUp: start,
    threads: { main: settlesLate, raft: endsAgain },
  },
  {
    name: "next leader's commit",
    what: 'an append is not acknowledged by what the next leader committed in its place',
    setUp: start,
    threads: { raft: givesWay, main: settlesMeanwhile },
  },
];
