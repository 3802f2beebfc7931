// The log's tokens as this node knows them: what is committed is in force, on each node as soon as it has it. So a token is found here without
// asking anybody, and a revocation needs no more than to be committed. Whether what is known here is fresh is another question: isSettled.
//
//   create, revoke ──► leader: access entry ──► each node folds it ──► committed ──► in force ──► whoever used it hears of the change

import type { TokenRecord } from '../core/access.ts';
import { EXPIRED_TOKEN_KEPT_MS, MAX_TOKEN_CHANGES, TOKEN_TRUST_MS } from '../core/accessLimits.ts';
import { viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { type AccessChange, foldAccess, NO_ACCESS, readAccess, tokensIn, wasRequested } from '../format/access.ts';
import type { AccessNews, LogFold } from '../memory/logFold.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Loop } from './loop.ts';
import type { OrderedAccess, OwnEntries } from './ownEntries.ts';

export interface AccessPorts {
  readonly memory: TailMemory;
  readonly loop: Pick<Loop, 'nowMs' | 'wallMs'>;
  readonly fold: Pick<LogFold, 'timeMs' | 'access' | 'accessVersion'>;
  readonly own: Pick<OwnEntries, 'access'>;
  /** Why this node orders nothing; undefined: it does. */
  refusal(): LogError | undefined;
  /** Resolves when the commit, the office or the room for entries has changed. */
  progress(): Promise<void>;
  /** The commit is to be followed: {@link Access.committed}. */
  awaitCommit(): void;
}

/** What came of a change. */
export interface AccessOutcome {
  /** False: nothing was to be done, as it was done before; a token that is to be revoked is not there. */
  readonly isNew: boolean;
}

interface Pending {
  readonly news: AccessNews;
  readonly by: number;
}

const NOT_CONFIRMED =
  'this node leads no longer, or stops, and does not know what becomes of this change: to ask for it again does no harm';

export class Access {
  readonly #ports: AccessPorts;
  /** What is committed, as the log has it, and by id; undefined while that is not known yet. */
  #table: Uint8Array | undefined;
  #tokens: ReadonlyMap<string, TokenRecord> = new Map();
  /** What the log says in entries that may not be committed yet, in their order. */
  #pending: Pending[] = [];
  /** The number of the last of them, and what came before its turn. */
  #version = 0;
  #early: Pending[] = [];
  readonly #listeners = new Set<() => void>();
  /** When all was known that was committed; undefined: never yet. */
  #settledMs: number | undefined;
  /** All that was committed at a moment is known once the commit here is at `commit`. */
  #probe: { readonly atMs: number; readonly commit: number } | undefined;
  #heard = 0;
  /** Requests under way. */
  #asked = 0;
  #isOver = false;

  constructor(ports: AccessPorts) {
    this.#ports = ports;
  }

  /** The token `id`, if the log has it, by a committed entry. It may have expired: see {@link hasExpired}. */
  find(id: string): TokenRecord | undefined {
    return this.#tokens.get(id);
  }

  /** All tokens that are in force or have expired, by id. */
  get tokens(): readonly TokenRecord[] {
    return [...this.#tokens.values()];
  }

  /** Whether a request of a node's directory for the token `id` was put into the log, and is committed. */
  wasRequested(id: string): boolean {
    return this.#table !== undefined && wasRequested(this.#table, id);
  }

  /**
   * Whether a token has expired: by this node's clock, or by the log's time, which a majority of the nodes agrees about, if that is later. So neither a log
   * into which nothing is put nor a clock that is slow keeps one in force.
   */
  hasExpired({ expiresMs }: Pick<TokenRecord, 'expiresMs'>): boolean {
    return expiresMs > 0 && expiresMs <= Math.max(this.#ports.loop.wallMs(), this.#ports.fold.timeMs);
  }

  /**
   * Whether what is known here is what was committed at most TOKEN_TRUST_MS ago, as the leader says: a node that hears none, or lacks what that one has
   * committed, may have missed a revocation, and takes no new connections by token.
   */
  get isSettled(): boolean {
    this.#watch();
    const { loop } = this.#ports;
    return this.#table !== undefined && this.#settledMs !== undefined && loop.nowMs() - this.#settledMs < TOKEN_TRUST_MS;
  }

  /** `changed` is called each time that tokens were put or removed; returns what ends that. */
  onChanged(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  /** Begins, or begins anew with what the log has at its end `end`. The raft thread does nothing meanwhile, and all that it told has come. */
  start(end: number): void {
    const { fold } = this.#ports;
    this.dropped();
    this.#pending = [{ news: { bytes: fold.access.slice(), isTable: true, version: this.#version }, by: end }];
    this.#ports.awaitCommit();
    this.committed();
  }

  stop(): void {
    this.#isOver = true;
  }

  /** The log says something of tokens, by an entry that ends at log offset `by`. Called as the entry is put there, in the gate: nothing else is done. */
  met(news: AccessNews, by: number): void {
    // Where the node has begun to lead, what the raft thread had folded before may come later than what this one does.
    this.#early.push({ news, by });
    for (let next = this.#takeNext(); next !== undefined; next = this.#takeNext()) this.#pending.push(next);
    this.#ports.awaitCommit();
  }

  /** The change that comes next, if it is there. */
  #takeNext(): Pending | undefined {
    const at = this.#early.findIndex(({ news }) => news.version === this.#version + 1);
    if (at < 0) return undefined;
    this.#version += 1;
    return this.#early.splice(at, 1)[0];
  }

  /** The log was dropped, and begins anew: as {@link start}. What was committed stays in force until it says something. */
  dropped(): void {
    this.#pending = [];
    this.#early = [];
    this.#version = this.#ports.fold.accessVersion;
  }

  /** Whether something waits for the commit. */
  get awaitsCommit(): boolean {
    return this.#pending.length + this.#early.length > 0;
  }

  /** The commit has moved: what waited for it comes into force. */
  committed(): void {
    const { commit } = this.#ports.memory;
    let hasChanged = false;
    while (this.#pending[0] !== undefined && this.#pending[0].by <= commit) {
      const pending = this.#pending.shift();
      if (pending !== undefined && this.#adopt(pending.news)) hasChanged = true;
    }
    if (hasChanged) for (const changed of this.#listeners) changed();
  }

  /** Returns whether that changes anything. */
  #adopt({ bytes, isTable }: AccessNews): boolean {
    const before = this.#table ?? NO_ACCESS;
    if (isTable) {
      this.#table = bytes;
      this.#tokens = tokensIn(bytes);
      return before.length !== bytes.length || before.some((byte, at) => byte !== bytes[at]);
    }
    const change = readAccess(viewOf(bytes), 0, bytes.length);
    const table = change === undefined ? before : foldAccess(before, change);
    if (change === undefined || table === before) return false;
    this.#table = table;
    const tokens = new Map(this.#tokens);
    if (change.what === 'put') tokens.set(change.record.id, change.record);
    else tokens.delete(change.id);
    this.#tokens = tokens;
    return true;
  }

  /** Looks what there is to do: some time has passed. */
  look(): void {
    this.#watch();
    this.#removeExpired();
  }

  /** Follows what the leader says that it has committed, and whether that is known here. */
  #watch(): void {
    const { memory, loop } = this.#ports;
    const leads = memory.word(WORD.OPEN_TERM) !== 0;
    const heard = memory.word(WORD.LEADER_HEARD);
    if (this.#probe === undefined && (leads || heard !== this.#heard)) {
      this.#heard = heard;
      // Who leads knows of nothing that is committed after its own log.
      const commit = leads ? memory.tail : memory.word(WORD.LEADER_COMMIT);
      // A leader that says 0 has not committed in its term, and does not know yet what is: that may be long after what this node has.
      if (leads || commit > 0) this.#probe = { atMs: loop.nowMs(), commit };
    }
    // A node whose disk was damaged may lack what it knows to be committed.
    if (this.#probe === undefined || Math.min(memory.commit, memory.tail) < this.#probe.commit) return;
    this.#settledMs = this.#probe.atMs;
    this.#probe = undefined;
  }

  /** Takes tokens out of the log that expired long ago, by its own time, if this node leads: one at a time. */
  #removeExpired(): void {
    const { fold, own, refusal } = this.#ports;
    if (this.#pending.length > 0 || this.#tokens.size === 0) return;
    const untilMs = fold.timeMs - EXPIRED_TOKEN_KEPT_MS;
    if (untilMs <= 0 || refusal() !== undefined) return;
    for (const { id, expiresMs } of this.#tokens.values()) {
      if (expiresMs === 0 || expiresMs > untilMs) continue;
      try {
        own.access({ what: 'remove', id });
      } catch (thrown) {
        // A log that is at its last offset keeps it: it is in force no more anyway.
        if (!(thrown instanceof LogError)) throw thrown;
      }
      return;
    }
  }

  /**
   * Puts a token into the log, or removes one. Resolves once that is committed; to put the same token again, or to remove one that is not there, is nothing.
   * Rejects with a LogError: NOT_LEADER, SHUTTING_DOWN, UNSUPPORTED, TOO_MANY_TOKENS, TOO_MANY_REQUESTS; NOT_LEADER may come although it was done.
   */
  request(change: AccessChange): Promise<AccessOutcome> {
    return this.#ask(async () => {
      const { isNew, term, end } = await this.#order(change);
      await this.#committedTo(end, term);
      return { isNew };
    });
  }

  /** All tokens that the log has, as its leader knows: none that was put before this call is missing. Rejects as {@link request}. */
  list(): Promise<readonly TokenRecord[]> {
    return this.#ask(async () => {
      const { term, end } = await this.#order(undefined);
      await this.#committedTo(end, term);
      return this.tokens;
    });
  }

  async #ask<Outcome>(work: () => Promise<Outcome>): Promise<Outcome> {
    if (this.#asked >= MAX_TOKEN_CHANGES) {
      throw new LogError('TOO_MANY_REQUESTS', `${MAX_TOKEN_CHANGES} requests about tokens are under way: try again`);
    }
    this.#asked += 1;
    try {
      return await work();
    } finally {
      this.#asked -= 1;
    }
  }

  async #order(change: AccessChange | undefined): Promise<OrderedAccess> {
    const { own, refusal, progress } = this.#ports;
    for (;;) {
      const refused = refusal();
      if (refused !== undefined) throw refused;
      const ordered = own.access(change);
      if (ordered !== undefined) return ordered;
      await progress();
    }
  }

  async #committedTo(end: number, term: number): Promise<void> {
    const { memory, progress } = this.#ports;
    while (memory.commit < end && !this.#isOver && memory.word(WORD.OPEN_TERM) === term) await progress();
    // In this order: what another leader commits at the same place comes after this one has lost its office.
    if (memory.commit < end || memory.word(WORD.OPEN_TERM) !== term) throw new LogError('NOT_LEADER', NOT_CONFIRMED, {}, 'unknown');
    this.committed();
  }
}
