// Producers in the time of faults: each appends in a session of its own, some take another one's name over, and the log forgets those that rest. What is
// committed says which appends of a session there are, and where; every receipt must say the same. Has chance of its own, so that a world without producers is
// what it would be without this file.

import { SESSIONS_LEVEL } from '../../src/core/levels.ts';
import { sessionsIn } from '../../src/format/sessions.ts';
import { Random } from '../assembly/random.ts';
import { Producer } from './producer.ts';
import type { SessionPlace } from './sessionModel.ts';
import { SETS_FROM } from './sets.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** Seeds with producers, of four in a row, from SETS_FROM on. */
const WITH_PRODUCERS = [1, 3];
/** One of so many appends has a condition, by the seed. */
const [OFTEN, SELDOM] = [3, 10];

/** One receipt of so many is lost. */
const LOST_ONE_IN = 40;
/** And one answer of so many to who opens a session. */
const LOST_OPENED_ONE_IN = 6;
/** So many election timeouts a producer rests then, at most; most of what is committed is trimmed in the middle of that, where trims are. */
const REST_ELECTIONS = 8;

export class Sessions {
  readonly #world: World;
  readonly #random: Random;
  /** Whether this seed has any. */
  readonly isOn: boolean;
  readonly #producers: Producer[] = [];
  /** Of appends with conditions. */
  readonly #conditions: Random;
  readonly #conditionOneIn: number;
  /** Of receipts that are lost. */
  readonly #rests: Random;
  /** Of sessions that are opened, and nobody hears it. */
  readonly #unheard: Random;
  #isOver = false;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x73_65_73);
    this.isOn = world.levels.highest >= SESSIONS_LEVEL && world.seed >= SETS_FROM && WITH_PRODUCERS.includes(world.seed % 4);
    this.#rests = new Random(world.seed ^ 0x72_65_73);
    this.#unheard = new Random(world.seed ^ 0x6f_70_6e);
    this.#conditions = new Random(world.seed ^ 0x63_6f_6e_64);
    this.#conditionOneIn = this.#conditions.pick(OFTEN, SELDOM);
  }

  /** Whether the next append of a producer has a condition. */
  drawCondition(): boolean {
    return this.#conditions.oneIn(this.#conditionOneIn);
  }

  /** How long a producer rests instead of taking a receipt, in milliseconds; 0: it takes it. */
  drawRest(): number {
    if (!this.#rests.oneIn(LOST_ONE_IN)) return 0;
    const { profile, scheduler, trims } = this.#world;
    const restMs = (profile.electionTimeoutMs * REST_ELECTIONS * (1 + this.#rests.below(1000))) / 1000;
    scheduler.after(restMs / 2, () => {
      if (!this.#isOver) trims.trimAll();
    });
    return restMs;
  }

  /** Whether the answer to who opens a session is lost. */
  drawUnheard(): boolean {
    return this.#unheard.oneIn(LOST_OPENED_ONE_IN);
  }

  /** How many sessions nodes let the log have, and after how long one is forgotten that rests. */
  get bounds(): { readonly maxSessions: number; readonly sessionAge: number } {
    const { electionTimeoutMs } = this.#world.profile;
    if (!this.isOn) return { maxSessions: 4096, sessionAge: 604_800_000 };
    return { maxSessions: this.#world.seed % 3 === 0 ? 2 : 8, sessionAge: electionTimeoutMs * (this.#world.seed % 5 === 0 ? 3 : 1000) };
  }

  start(): void {
    if (!this.isOn) return;
    const { profile, scheduler } = this.#world;
    for (let count = 1 + this.#random.below(4); count > 0; count -= 1) this.#begin(`p${count}`);
    for (let count = this.#random.below(4); count > 0; count -= 1) {
      scheduler.after((profile.chaosMs * (100 + this.#random.below(850))) / 1000, () => {
        if (!this.#isOver) this.#begin(`p${1 + this.#random.below(2)}`);
      });
    }
  }

  #begin(name: string): void {
    const producer = new Producer(this.#world, this.#random, name, this.#producers.length + 1);
    this.#producers.push(producer);
    producer.start();
  }

  /** Connections of producers are cut. */
  cut(): void {
    for (const producer of this.#producers) if (this.#random.oneIn(2)) producer.disconnect();
  }

  /** No new appends. */
  stop(): void {
    this.#isOver = true;
    for (const producer of this.#producers) producer.stop();
  }

  /** Everything that was sent is answered. */
  get areSettled(): boolean {
    return this.#producers.every(({ isSettled }) => isSettled);
  }

  /** At the end: all nodes that have the whole log have folded the same sessions, which are those that its entries make. */
  check(): void {
    if (!this.isOn) return;
    const { ledger } = this.#world.checker;
    const due = JSON.stringify(ledger.sessions.all);
    for (const { id, process } of this.#world.nodes) {
      if (process?.hasBegun !== true || process.memory.tail !== ledger.end) continue;
      const own = JSON.stringify(sessionsIn(process.engine.fold.sessions.slice()));
      promise(own === due, 'sessions', () => `node ${id} has the sessions ${own} in the end, not ${due}`);
    }
  }

  /** A producer is told that the one before its new session was not its own: the log has nothing of that any more, or it could be told what became of its appends. */
  isForgotten(session: number): void {
    promise(
      this.#world.checker.ledger.sessions.wasForgotten(session),
      'sessions',
      () => `the producer of session ${session} is told nothing of it any more, and the log has it`,
    );
  }

  /** A receipt says that an append of a session is there: it is committed there, or will be. */
  isAt({ session, sequence }: { readonly session: number; readonly sequence: number }, { offset, end }: SessionPlace): void {
    const place = this.#world.checker.ledger.sessions.placeOf(session, sequence);
    promise(
      place !== undefined && place.offset === offset && place.end === end,
      'sessions',
      () =>
        `append ${sequence} of session ${session} was acknowledged at [${offset}, ${end}), and is committed at ${JSON.stringify(place)}`,
    );
  }
}
