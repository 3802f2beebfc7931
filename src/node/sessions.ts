// Sessions of producers: opened by a request, forgotten when they are old or when there is no room for another one, each by an entry of the log. What an
// append of one may do is decided where it is ordered (appends.ts).

import { LogError } from '../core/errors.ts';
import { MAX_SESSION_REQUESTS } from '../core/limits.ts';
import type { LogFold } from '../memory/logFold.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { ProducerName, SessionOpened } from '../protocol/sessions.ts';
import type { EngineConfig } from './engineOptions.ts';
import type { OrderedSession, OwnEntries } from './ownEntries.ts';

export interface SessionPorts {
  readonly memory: TailMemory;
  readonly fold: Pick<LogFold, 'timeMs'>;
  readonly own: Pick<OwnEntries, 'openSession' | 'evictOldSessions'>;
  readonly config: Pick<EngineConfig, 'maxSessions' | 'sessionAge'>;
  /** Why this node orders nothing; undefined: it does. */
  refusal(): LogError | undefined;
  /** Resolves when the commit, the office or the room for entries has changed. */
  progress(): Promise<void>;
}

const NOT_CONFIRMED = 'this node leads no longer, or stops, and does not know whether this session was opened: open it again';

export class Sessions {
  readonly #ports: SessionPorts;
  /** The log's time when it was looked for old ones last. */
  #lookedMs = 0;
  #asked = 0;
  #isOver = false;

  constructor(ports: SessionPorts) {
    this.#ports = ports;
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
   * Opens a session, `isAgain`: only if the producer has none that another instance opened. Resolves when that is committed. Rejects with a LogError: FENCED,
   * TOO_MANY_SESSIONS, NOT_LEADER, SHUTTING_DOWN, UNSUPPORTED, TOO_MANY_REQUESTS; NOT_LEADER may come although it was done.
   */
  async request(producer: ProducerName, isAgain: boolean): Promise<SessionOpened> {
    if (this.#asked >= MAX_SESSION_REQUESTS) {
      throw new LogError('TOO_MANY_REQUESTS', `${MAX_SESSION_REQUESTS} sessions are being opened: try again`);
    }
    this.#asked += 1;
    try {
      const { session, before, beforeSequence, term, end } = await this.#order(producer, isAgain);
      const { memory, progress } = this.#ports;
      while (memory.commit < end && !this.#isOver && memory.word(WORD.OPEN_TERM) === term) await progress();
      // In this order: what another leader commits at the same place comes after this one has lost its office.
      if (memory.commit < end || memory.word(WORD.OPEN_TERM) !== term) throw new LogError('NOT_LEADER', NOT_CONFIRMED, {}, 'unknown');
      return { session, before, beforeSequence };
    } finally {
      this.#asked -= 1;
    }
  }

  async #order(producer: ProducerName, isAgain: boolean): Promise<OrderedSession> {
    const { own, config, refusal, progress } = this.#ports;
    for (;;) {
      const refused = refusal();
      if (refused !== undefined) throw refused;
      const ordered = own.openSession(producer, isAgain, config.maxSessions);
      if (ordered !== undefined) return ordered;
      await progress();
    }
  }
}

/** Of the log's time. */
const LOOK_MS = 1000;
