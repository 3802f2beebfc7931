// Whether two processes that both live say that they are one node. A node that is restarted has another process as well, but the old one is
// never heard again: only who is heard again after the other one was is alive beside it. Pure: told who was heard, in order.

/** Who is heard again this often after the other one, in turn, is alive; once may be a HELLO that was long under way. */
const RETURNS = 2;
/** Both must have been heard within this time, in milliseconds; whoever is refused dials again every second. */
const RIVALRY_MS = 30_000;

/**
 * Whether a process that `refusers` of the `nodes` do not hear, because they hear another one as its node, must say nothing to the rest, either:
 * when those that do not refuse it, itself among them, are no more than a bare majority; in other words, when it is refused by f nodes, as many
 * as may fail, or more.
 *
 * Fewer would not do: P and Q run as one node. Two leaders of one term need two majorities, n + 1 votes; so all other nodes vote, once each, and as
 * each hears one of the two, it refuses the other one: n - 1 refusals, once both have dialed them all. Where both speak, each has f - 1 at most, and
 * 2(f - 1) < n - 1. Nor may they be fewer than f: that many are meant to fail without harm, and would fail it by wrong addresses alone. It holds with
 * two nodes that run twice, too: n - 2 others refuse P or Q, and 2(f - 1) < n - 2.
 */
export function mustBeSilent(refusers: number, nodes: number): boolean {
  const majority = Math.floor(nodes / 2) + 1;
  return refusers > 0 && nodes - refusers <= majority;
}

/** A process that says that it is a node. */
export interface HeardProcess {
  readonly process: string;
  readonly instance: string;
  /** Where it was heard. */
  readonly at: string;
}

interface Heard {
  readonly who: HeardProcess;
  atMs: number;
}

interface Pair {
  last: Heard;
  other: Heard | undefined;
  /** How often one of the two was heard again after the other one was. */
  returns: number;
}

export class ProcessWatch {
  /** At most two processes of each node of the cluster. */
  readonly #pairs = new Map<number, Pair>();

  /** `who`, which says that it is `node`, was heard: it is alive, or was when it sent what has just come. */
  heard(node: number, who: HeardProcess, nowMs: number): void {
    const pair = this.#pairs.get(node);
    if (pair === undefined) {
      this.#pairs.set(node, { last: { who, atMs: nowMs }, other: undefined, returns: 0 });
      return;
    }
    const { last, other } = pair;
    if (last.who.process === who.process) {
      last.atMs = nowMs;
      return;
    }
    pair.returns = other?.who.process === who.process ? pair.returns + 1 : 0;
    pair.other = last;
    pair.last = { who, atMs: nowMs };
  }

  /** Two processes that live, both as `node`, in the order of their numbers; undefined: none are known. */
  rivals(node: number, nowMs: number): readonly [HeardProcess, HeardProcess] | undefined {
    const pair = this.#pairs.get(node);
    if (pair?.other === undefined || pair.returns < RETURNS) return undefined;
    if (nowMs - pair.other.atMs > RIVALRY_MS || nowMs - pair.last.atMs > RIVALRY_MS) return undefined;
    const [one, other] = [pair.last.who, pair.other.who];
    return one.process < other.process ? [one, other] : [other, one];
  }
}
