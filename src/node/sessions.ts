// Sessions of producers: opened by a request, forgotten when they are old or when there is no room for another one, each by an entry of the log. What an
// append of one may do is decided where it is ordered (appends.ts).

import { LogError } from '../core/errors.ts';
import { MAX_SESSION_REQUESTS, SESSION_ROW_BYTES } from '../core/limits.ts';
import { OWN_REQUESTS_PER_CONNECTION } from '../core/servingLimits.ts';
import type { LogFold } from '../memory/logFold.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { ProducerName, SessionOpened } from '../protocol/sessions.ts';
import type { Caller } from './caller.ts';
import type { EngineConfig } from './engineOptions.ts';
import type { EvictedSessions, OrderedSession, OwnEntries } from './ownEntries.ts';
import { Shares } from './shares.ts';
import { mostSessions } from './stateRoom.ts';

export interface SessionPorts {
  readonly memory: TailMemory;
  readonly fold: Pick<LogFold, 'timeMs' | 'level' | 'access' | 'consumers' | 'sessions' | 'producers'>;
  readonly own: Pick<OwnEntries, 'openSession' | 'evictOldSessions' | 'evictedSessions'>;
  readonly config: Pick<EngineConfig, 'maxSessions' | 'sessionAge'>;
  /** Why this node orders nothing; undefined: it does. */
  refusal(): LogError | undefined;
  /** Resolves when the commit, the office or the room for entries has changed. */
  progress(): Promise<void>;
}

/** What a node says of sessions. */
export interface SessionStatus {
  /** That the log has at this node's end of it. */
  readonly count: number;
  /** How many it may have where this node leads: by the option, and by the room that the log's state has. */
  readonly most: number;
  /** For how long one may rest, in milliseconds of the log's time. */
  readonly ageMs: number;
  /** Those that this node has had the log forget since its start, where it led: because of their age, and because others needed their room. */
  readonly evicted: Readonly<EvictedSessions>;
}

const NOT_CONFIRMED = 'this node leads no longer, or stops, and does not know whether this session was opened: open it again';

/** On whose connection sessions are opened. */
type Asker = Pick<Caller, 'sessionsAsked'>;

export class Sessions {
  readonly #ports: SessionPorts;
  /** The log's time when it was looked for old ones last. */
  #lookedMs = 0;
  /** Of those that are being opened each connection has some of its own, so that none can keep the others from opening theirs. */
  readonly #shares = new Shares(MAX_SESSION_REQUESTS - OWN_REQUESTS_PER_CONNECTION, MAX_SESSION_REQUESTS);
  #isOver = false;

  constructor(ports: SessionPorts) {
    this.#ports = ports;
  }

  get status(): SessionStatus {
    const { memory, fold, own, config } = this.#ports;
    const { maxSessions, sessionAge } = config;
    return {
      count: fold.producers.bytes / SESSION_ROW_BYTES,
      most: mostSessions(maxSessions, memory.map.shape.segmentBytes, fold),
      ageMs: sessionAge,
      evicted: { ...own.evictedSessions },
    };
  }

  stop(): void {
    this.#isOver = true;
  }

  /** Once a second of the log's time, forgets the sessions that nobody has used for too long by it, if this node leads. */
  look(): void {
    const { fold, own, config, refusal } = this.#ports;
    const { timeMs } = fold;
    if (timeMs < this.#lookedMs + LOOK_MS || refusal() !== undefined) return;
    // Not all at once: then again at the next look.
    if (own.evictOldSessions(timeMs - config.sessionAge)) this.#lookedMs = timeMs;
  }

  /**
   * Opens a session that follows another one of the same instance, `follows`, 0: none; asked for again, it is the same one. Resolves when that is committed.
   * Rejects with a LogError: FENCED, TOO_MANY_SESSIONS, NOT_LEADER, SHUTTING_DOWN, UNSUPPORTED, TOO_MANY_REQUESTS; NOT_LEADER may come although it was done.
   */
  async request(producer: ProducerName, follows: number, asker: Asker = {}): Promise<SessionOpened> {
    const { sessionsAsked = 0 } = asker;
    const refusal = this.#shares.take(sessionsAsked, 'sessions that are being opened');
    if (refusal !== '') throw new LogError('TOO_MANY_REQUESTS', refusal);
    asker.sessionsAsked = sessionsAsked + 1;
    try {
      const { session, before, beforeSequence, term, end } = await this.#order(producer, follows);
      const { memory, progress } = this.#ports;
      while (memory.commit < end && !this.#isOver && memory.word(WORD.OPEN_TERM) === term) await progress();
      // In this order: what another leader commits at the same place comes after this one has lost its office.
      if (memory.commit < end || memory.word(WORD.OPEN_TERM) !== term) throw new LogError('NOT_LEADER', NOT_CONFIRMED, {}, 'unknown');
      return { session, before, beforeSequence };
    } finally {
      const { sessionsAsked: count = 0 } = asker;
      this.#shares.release(count);
      asker.sessionsAsked = count - 1;
    }
  }

  async #order(producer: ProducerName, follows: number): Promise<OrderedSession> {
    const { own, config, refusal, progress } = this.#ports;
    for (;;) {
      const refused = refusal();
      if (refused !== undefined) throw refused;
      const ordered = own.openSession(producer, follows, config.maxSessions);
      if (ordered !== undefined) return ordered;
      await progress();
    }
  }
}

/** Of the log's time. */
const LOOK_MS = 1000;
