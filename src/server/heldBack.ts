// What of connections waits for their pace, and not for their turn (turnBudget.ts): it takes nobody's time meanwhile, but memory, of which all have a part.

import { HELD_PING_MS, MAX_HELD_BYTES, MAX_HELD_SIGNS } from '../core/accessLimits.ts';
import { assert } from '../core/assert.ts';
import type { Loop } from '../node/loop.ts';
import { CANCEL, CREDIT } from '../protocol/client.ts';
import type { BudgetSession, Exceeded, Inbox, Party } from './inbox.ts';
import { RequestQueue } from './requestQueue.ts';

const TOO_MUCH_HELD = 'more than its quota came, and too much of it waits: wait for answers';

export class HeldBack<S extends BudgetSession> {
  readonly #inboxes = new Set<Inbox<S>>();
  readonly #exceeded: Exceeded<S>;
  readonly #loop: Pick<Loop, 'after'>;
  readonly #mayGoOn: (inbox: Inbox<S>) => void;
  #bytes = 0;
  #requests = 0;

  /** `exceeded` closes a connection; `mayGoOn` gets one whose pace lets its first message through. */
  constructor(exceeded: Exceeded<S>, loop: Pick<Loop, 'after'>, mayGoOn: (inbox: Inbox<S>) => void) {
    this.#exceeded = exceeded;
    this.#loop = loop;
    this.#mayGoOn = mayGoOn;
  }

  /** Messages that wait, of all connections. */
  get requests(): number {
    return this.#requests;
  }

  has(inbox: Inbox<S>): boolean {
    return this.#inboxes.has(inbox);
  }

  /** One more message, of `cost` bytes, waits of a connection that is held back. */
  grew(cost: number): void {
    this.#count(cost, 1);
  }

  /**
   * Closes the connection, and returns true, when it sends more than somebody who waits for answers, or when more of its party is held back than of any other,
   * and there is no room for all. Of another one that has more a connection is closed for it.
   */
  isTooMuch(inbox: Inbox<S>, message: ArrayBuffer): boolean {
    const opcode = message.byteLength === 0 ? 0 : new Uint8Array(message)[0];
    if (opcode === CREDIT || opcode === CANCEL) inbox.heldSigns += 1;
    const cost = RequestQueue.costOf(message);
    if (inbox.heldSigns > MAX_HELD_SIGNS) this.#exceeded(inbox.session, TOO_MUCH_HELD, true);
    while (!inbox.session.isClosed && this.#bytes + cost > MAX_HELD_BYTES) {
      const most = this.#mostHeld(inbox, cost);
      this.#exceeded(most.session, TOO_MUCH_HELD, true);
      this.release(most);
    }
    return inbox.session.isClosed;
  }

  /** Of the party of which most is held back, once `cost` bytes of `comes` are, the connection of which most is. */
  #mostHeld(comes: Inbox<S>, cost: number): Inbox<S> {
    const bytes = new Map<Party<S>, number>([[comes.party, cost]]);
    for (const { party, queue } of this.#inboxes) bytes.set(party, (bytes.get(party) ?? 0) + queue.bytes);
    let most = comes;
    const more = (a: Inbox<S>, b: Inbox<S>): boolean =>
      a.party === b.party ? a.queue.bytes > b.queue.bytes : (bytes.get(a.party) ?? 0) > (bytes.get(b.party) ?? 0);
    for (const inbox of this.#inboxes) if (more(inbox, most)) most = inbox;
    return most;
  }

  /** What it has sent waits until its quota allows it. Whoever waits hears that the node is there. */
  hold(inbox: Inbox<S>): void {
    if (inbox.isHeld || inbox.pace === undefined) return;
    inbox.isHeld = true;
    this.#inboxes.add(inbox);
    this.#count(inbox.queue.bytes, inbox.queue.count);
    inbox.party.waiting.delete(inbox);
    const look = (): void => {
      const { pace, session, queue } = inbox;
      this.release(inbox);
      inbox.isHeld = false;
      if (pace === undefined || session.isClosed || queue.count === 0) return;
      if (pace.waitMs > 0) {
        session.ping?.();
        this.hold(inbox);
        return;
      }
      inbox.heldSigns = 0;
      this.#mayGoOn(inbox);
    };
    this.#loop.after(Math.min(HELD_PING_MS, Math.ceil(inbox.pace.waitMs)), look, true);
  }

  /** What it has sent is not held back any more. */
  release(inbox: Inbox<S>): void {
    if (this.#inboxes.delete(inbox)) this.#count(-inbox.queue.bytes, -inbox.queue.count);
  }

  #count(bytes: number, requests: number): void {
    this.#bytes += bytes;
    this.#requests += requests;
    assert(this.#bytes >= 0 && this.#requests >= 0, 'what is held back is let go once');
  }
}
