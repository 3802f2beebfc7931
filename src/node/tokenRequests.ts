// The token that this node's directory asks for (storage/tokenRequest.ts): the node asks whoever leads to put it into the log, again and again, until it
// is there by a committed entry; then the request goes. A crash in between does no harm: the log remembers what was requested, so a request that
// is still there brings nothing back that was revoked meanwhile.
//
//   file ──► this node leads: orders it │ follows: asks the leader, each second ──► committed here ──► file removed

import { TOKEN_REQUEST_ASK_MS, TOKEN_REQUEST_LOOK_MS } from '../core/accessLimits.ts';
import { LogError } from '../core/errors.ts';
import type { AccessChange } from '../format/access.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import type { TokenRequest } from '../storage/tokenRequest.ts';
import type { Access } from './access.ts';
import type { EngineLog } from './engineOptions.ts';
import type { Loop, Timer } from './loop.ts';
import type { OwnEntries } from './ownEntries.ts';
import type { RaftPort } from './raftPort.ts';

export interface TokenRequestPorts {
  readonly loop: Pick<Loop, 'after'>;
  readonly tasks: Pick<DiskTasks, 'readTokenRequest' | 'removeTokenRequest'>;
  readonly access: Pick<Access, 'wasRequested'>;
  readonly own: Pick<OwnEntries, 'access'>;
  /** Why this node orders nothing; undefined: it does. */
  refusal(): LogError | undefined;
  /** Undefined while it is not there. */
  raft(): Pick<RaftPort, 'askAccess'> | undefined;
  /** Why nothing is ever ordered here, as on a mirror; else empty. */
  readonly readOnly: string;
  readonly log: Pick<EngineLog, 'info' | 'warn'>;
  /** What was thrown where nothing was to be. */
  broke(thrown: unknown): void;
  /** How often it is looked for a request, 0: nobody looks; and how often one is asked for; default TOKEN_REQUEST_LOOK_MS, TOKEN_REQUEST_ASK_MS. */
  readonly times?: { readonly lookMs: number; readonly askMs: number } | undefined;
}

export class TokenRequests {
  readonly #ports: TokenRequestPorts;
  readonly #lookMs: number;
  readonly #askMs: number;
  #timer: Timer | undefined;
  #isOver = false;
  /** The request that was said to be there. */
  #announced = '';
  /** What was complained about last: of what is in this node's directory, and of what other nodes ask. */
  readonly #complaints = { own: '', others: '' };

  constructor(ports: TokenRequestPorts) {
    this.#ports = ports;
    this.#lookMs = ports.times?.lookMs ?? TOKEN_REQUEST_LOOK_MS;
    this.#askMs = ports.times?.askMs ?? TOKEN_REQUEST_ASK_MS;
  }

  /** Begins, when this node takes part in its cluster. */
  start(): void {
    if (this.#lookMs === 0) return;
    this.#look()
      .then(
        (waits) => (waits ? this.#askMs : this.#lookMs),
        (thrown: unknown) => {
          if (!(thrown instanceof LogError)) throw thrown;
          this.#complain('own', thrown.message);
          return this.#lookMs;
        },
      )
      .then((afterMs) => {
        if (!this.#isOver) this.#timer = this.#ports.loop.after(afterMs, () => this.start(), true);
      })
      .catch((thrown: unknown) => this.#ports.broke(thrown));
  }

  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }

  /** Another node's directory asks for a token, and this node leads, as that one thinks. */
  asked(node: number, change: AccessChange | undefined): void {
    const { refusal, log } = this.#ports;
    if (refusal() !== undefined) return;
    if (change?.what !== 'put' || !change.isRequest) {
      this.#complain('others', `node ${node} asks for a change of tokens that no directory asks for: nothing of it is done`);
      return;
    }
    if (this.#put(change, 'others', `the directory of node ${node}`))
      log.info(`the directory of node ${node} asks for the token ${change.record.id}`);
  }

  /** Returns whether a request waits. */
  async #look(): Promise<boolean> {
    const { tasks, access, readOnly, raft, refusal, log } = this.#ports;
    const request = await tasks.readTokenRequest();
    if (this.#isOver) return false;
    if (request === undefined) {
      // What comes next is another one, whatever is wrong with it.
      this.#complaints.own = '';
      return false;
    }
    const { id } = request.record;
    if (readOnly !== '') {
      this.#complain('own', `its directory asks for the token ${id}, which waits: ${readOnly}`);
      return false;
    }
    if (access.wasRequested(id)) {
      await tasks.removeTokenRequest({ id });
      log.info(`the token ${id}, for which this node's directory asked, is in the log: the request was removed`);
      return false;
    }
    // What a token is called is for those who may see tokens: /history shows this line.
    if (this.#announced !== id) log.info(`this node's directory asks for the token ${id}: it goes to whoever leads`);
    this.#announced = id;
    if (refusal() === undefined) this.#put(request, 'own', "this node's directory");
    else raft()?.askAccess(request);
    return true;
  }

  /** Returns whether it was ordered now. */
  #put(request: TokenRequest, of: 'own' | 'others', whose: string): boolean {
    try {
      return this.#ports.own.access(request)?.isNew === true;
    } catch (thrown) {
      if (!(thrown instanceof LogError)) throw thrown;
      this.#complain(of, `${whose} asks for the token ${request.record.id}, which waits: ${thrown.message}`);
      return false;
    }
  }

  #complain(of: 'own' | 'others', sentence: string): void {
    if (sentence !== this.#complaints[of]) this.#ports.log.warn(sentence);
    this.#complaints[of] = sentence;
  }
}
