// Readers that take names of consumers and commit positions in the time of faults, by whoever leads, or takes itself for a leader. What was confirmed to one of them
// holds: a position never falls, whoever has lost a name commits nothing more, and all nodes fold the same table. Has chance of its own, so that a world without
// consumers is what it would be without this file.

import { ENTRY_HEADER_BYTES, KIND_POSITION, KIND_STATE } from '../../assembly/layout.ts';
import { toHex } from '../../src/core/bytes.ts';
import { CONSUMERS_LEVEL } from '../../src/core/levels.ts';
import { MAX_CONSUMERS_BYTES } from '../../src/core/limits.ts';
import {
  type ConsumerChange,
  consumerAt,
  consumerIn,
  consumersIn,
  foldConsumers,
  NO_CONSUMERS,
  placeOfFence,
  readConsumerChanges,
} from '../../src/format/consumers.ts';
import { kindOf, payloadBytesOf } from '../../src/format/entry.ts';
import { logTimeIn } from '../../src/format/logTime.ts';
import { readState } from '../../src/format/stateEntry.ts';
import type { ConsumerOutcome } from '../../src/node/consumers.ts';
import { Random } from '../assembly/random.ts';
import { SETS_FROM } from './sets.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** Seeds with consumers, of sixteen in a row from SETS_FROM on: odd ones, as in the others a node is wrong about its disk, and may come to be the only voter. */
const WITH_CONSUMERS = [1, 3, 11];
/** Up to so many requests. */
const MOST = 150;
/** Names that are begun anew now and then, so that their positions may fall; and others. */
const RESET_NAME = 'reset';
const NAMES = ['a', 'ü', 'name of some length', RESET_NAME];

const textOf = (table: Uint8Array): string => JSON.stringify(consumersIn(table));

/** What the entries that are committed say of consumers. */
export class ConsumerModel {
  #timeMs = 0;
  table: Uint8Array = NO_CONSUMERS;

  /** The next entry that is committed: see `RetentionModel.take`. */
  take(view: DataView, at: number, kindSize: number, offset: number): void {
    this.#timeMs = Math.max(this.#timeMs, logTimeIn(view, at, kindSize));
    const payloadAt = at + ENTRY_HEADER_BYTES;
    const bytes = payloadBytesOf(kindSize);
    if (kindOf(kindSize) === KIND_STATE) {
      const told = readState(view, payloadAt, bytes)?.consumers ?? NO_CONSUMERS;
      const sentence = (): string => `the segment at ${offset} says the consumers ${textOf(told)}, not ${textOf(this.table)}`;
      promise(toHex(told) === toHex(this.table), 'consumers', sentence);
      return;
    }
    if (kindOf(kindSize) !== KIND_POSITION) return;
    const changes = readConsumerChanges(view, payloadAt, bytes);
    promise(changes !== undefined, 'consumers', () => `the entry at ${offset} says nothing of consumers that anybody writes`);
    for (const change of changes) this.#fold(change, offset);
  }

  #fold(change: ConsumerChange, offset: number): void {
    const before = this.table;
    this.table = foldConsumers(before, change, this.#timeMs);
    const what = (): string => `the entry at ${offset}, which says ${JSON.stringify(change)},`;
    promise(this.table !== before && this.table.length <= MAX_CONSUMERS_BYTES, 'consumers', () => `${what()} changes nothing`);
    if (change.what !== 'commit') return;
    promise(change.position <= offset, 'consumers', () => `${what()} commits what comes after it`);
    const was = consumerAt(before, placeOfFence(before, change.fence) ?? 0).position ?? -1;
    promise(was < change.position, 'consumers', () => `${what()} lets a position fall from ${was}`);
  }
}

/** Somebody who was given a fence. */
interface Reader {
  /** In the history. */
  readonly holder: number;
  readonly name: string;
  readonly fence: number;
}

export class Consumers {
  readonly #world: World;
  readonly #random: Random;
  /** Whether this seed has any. */
  readonly isOn: boolean;
  readonly #readers: Reader[] = [];
  #holders = 0;
  /** By name: the highest fence that was confirmed, and the furthest position. */
  readonly #fences = new Map<string, number>();
  readonly #floors = new Map<string, number>();
  /** Answers that nobody has had before. */
  confirmed = 0;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x63_6f_6e);
    this.isOn = world.seed >= SETS_FROM && WITH_CONSUMERS.includes(world.seed % 16) && world.levels.highest >= CONSUMERS_LEVEL;
  }

  start(): void {
    if (!this.isOn) return;
    const { profile, scheduler } = this.#world;
    for (let left = 20 + this.#random.below(MOST); left > 0; left -= 1) {
      scheduler.after((profile.chaosMs * this.#random.below(1000)) / 1000, () => this.#act());
    }
  }

  #act(): void {
    const name = NAMES[this.#random.below(NAMES.length)] ?? '';
    const reader = this.#readers[this.#random.below(Math.max(1, this.#readers.length))];
    const what = this.#random.below(24);
    if (reader === undefined || what < 6) this.#claim(name);
    else if (what === 6) this.#begin({ what: 'reset', name: RESET_NAME, position: undefined });
    else if (what === 7) this.#begin({ what: 'remove', name: RESET_NAME });
    else this.#commit(reader);
  }

  /** A name is begun anew. */
  #begin(change: Extract<ConsumerChange, { what: 'reset' | 'remove' }>): void {
    const done = this.#world.history.position({ client: 0, name: change.name, holder: 0, kind: 'reset', position: undefined });
    this.#ask(change, () => done('ok'));
  }

  #claim(name: string): void {
    this.#holders += 1;
    const holder = this.#holders;
    const done = this.#world.history.position({ client: 0, name, holder, kind: 'claim', position: undefined });
    const [fence, floor] = [this.#fences.get(name) ?? 0, this.#floors.get(name) ?? -1];
    this.#ask({ what: 'claim', name }, ({ consumer }) => {
      promise(consumer?.name === name, 'consumers', () => `a claim of ${name} was answered with ${JSON.stringify(consumer)}`);
      const has = `whoever took ${name} was given the fence ${consumer.fence} and the position ${consumer.position}`;
      promise(consumer.fence > fence, 'consumers', () => `${has}, and somebody had the fence ${fence} before`);
      promise((consumer.position ?? -1) >= floor, 'consumers', () => `${has}, and ${floor} was confirmed before`);
      done('ok', consumer.position);
      this.#readers.push({ holder, name, fence: consumer.fence });
      this.#fences.set(name, Math.max(consumer.fence, this.#fences.get(name) ?? 0));
    });
  }

  /** Whoever has the name, or had it, commits what it may have read. */
  #commit({ holder, name, fence }: Reader): void {
    const newest = this.#fences.get(name) ?? 0;
    const { ledger } = this.#world.checker;
    const position = Math.max(0, ledger.end - this.#random.below(Math.max(1, ledger.end - ledger.start)));
    const done = this.#world.history.position({ client: 0, name, holder, kind: 'commit', position });
    this.#ask({ what: 'commit', fence, position }, () => {
      done('ok');
      const sentence = (): string => `a commit of ${name} with the fence ${fence} was confirmed, after ${newest} was given to another one`;
      promise(fence >= newest, 'consumers', sentence);
      if (name !== RESET_NAME) this.#floors.set(name, Math.max(position, this.#floors.get(name) ?? -1));
    });
  }

  /** Asks whoever leads, or any node. */
  #ask(change: ConsumerChange, answered: (outcome: ConsumerOutcome) => void): void {
    const { nodes, leader, trace, scheduler } = this.#world;
    const node = leader === undefined || this.#random.oneIn(4) ? nodes[this.#random.below(nodes.length)] : leader;
    const process = node?.process;
    if (node === undefined || process?.hasBegun !== true) return;
    trace.add(scheduler.nowMs, node.id, `* consumers: ${JSON.stringify(change)}`);
    process.settles(0, 'consumer', () => {
      const { consumers, fold } = process.engine;
      consumers.request(change, fold.generation.id).then(
        (outcome) => {
          if (node.process !== process) return;
          this.confirmed += 1;
          trace.add(scheduler.nowMs, node.id, `* consumers: ${JSON.stringify(change)} is done: ${JSON.stringify(outcome)}`);
          process.settles(0, 'consumer', () => answered(outcome));
        },
        () => undefined,
      );
    });
  }

  /** At the end: what was confirmed is there, and all nodes that have the whole log have folded the same. */
  check(): void {
    if (!this.isOn) return;
    const { table } = this.#world.checker.ledger.consumers;
    for (const [name, floor] of this.#floors) {
      const { position = -1 } = consumerIn(table, name) ?? {};
      promise(position >= floor, 'consumers', () => `${name} has the position ${position} in the end, and ${floor} was confirmed`);
    }
    for (const { id, process } of this.#world.nodes) {
      if (process?.hasBegun !== true || process.memory.tail !== this.#world.checker.ledger.end) continue;
      const own = process.engine.fold.named.settled?.table ?? NO_CONSUMERS;
      promise(
        toHex(own) === toHex(table),
        'consumers',
        () => `node ${id} has the consumers ${textOf(own)} in the end, not ${textOf(table)}`,
      );
    }
  }
}
