// Whether two processes that both live say that they are one node. A node that is restarted has another process as well, but the old one is
// never heard again: only who is heard again after the other one was is alive beside it. Pure: told who was heard, in order.

/** Who is heard again this often after the other one, in turn, is alive; once may be a HELLO that was long under way. */
const RETURNS = 2;
/** Both must have been heard within this time, in milliseconds; whoever is refused dials again every second. */
const RIVALRY_MS = 30_000;

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
