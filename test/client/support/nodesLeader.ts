// A leader that a test plays, for changes of the set of nodes.

import type { AskLeaderPorts } from '../../../src/client/askLeader.ts';
import { MemberWork } from '../../../src/client/members.ts';
import type { Questions } from '../../../src/client/nodes/questions.ts';
import type { ChangeMembersOptions, NewMember } from '../../../src/client/options.ts';
import { LogError } from '../../../src/core/errors.ts';
import type { MemberChange } from '../../../src/core/memberChanges.ts';
import type { ListedMember, MembersAnswer } from '../../../src/protocol/members.ts';

export const MOVED = { id: 3, host: 'h5', port: 15, peerPort: 25 };
export const NEW: NewMember = { id: 4, host: 'h4', port: 14, peerPort: 24 };
export const LOST = 'lost';

export const listed = (id: number, more: Partial<ListedMember> = {}): ListedMember => ({
  id,
  role: 'voter',
  instance: `${id}`.padStart(16, '0'),
  host: `h${id}`,
  port: 10 + id,
  peerPort: 20 + id,
  url: `ws://h${id}:${10 + id}`,
  isConnected: true,
  counts: true,
  isOldCopy: false,
  feed: id === 1 ? 'unknown' : 'replicating',
  durable: 1000,
  lastContactMs: id === 1 ? 0 : 5,
  levels: { lowest: 0, highest: 2 },
  ...more,
});

/** Node 1, which leads: `act` says what becomes of each change that it is asked for; the set is what `nodes` has. */
export class Leader implements AskLeaderPorts {
  nodes: readonly ListedMember[] = [listed(1), listed(2), listed(3)];
  isSettled = true;
  readonly asked: string[] = [];
  act: (change: MemberChange, isDryRun: boolean) => undefined | typeof LOST = () => undefined;
  /** Called before each list. */
  onList: (count: number) => void = () => undefined;
  #lists = 0;

  readonly leader = {
    acquire: () =>
      Promise.resolve({
        questions: { members: (...given: Parameters<Questions['members']>) => this.#answer(...given) },
        release: () => undefined,
      } as never),
    refused: () => undefined,
  };

  pause(): Promise<void> {
    return Promise.resolve();
  }

  #answer(change: MemberChange | undefined, isDryRun: boolean): Promise<MembersAnswer | undefined> {
    return Promise.resolve().then(() => {
      if (change === undefined) {
        this.#lists += 1;
        this.onList(this.#lists);
      } else {
        this.asked.push(`${isDryRun ? 'dry ' : ''}${change.kind} ${change.id}`);
        if (this.act(change, isDryRun) === LOST) return undefined;
      }
      const { nodes, isSettled } = this;
      const log = { start: 0, commit: 1000, end: 1000, level: 2, newestLevel: 2, leader: 1, term: 7 };
      return { requestId: 1, hasChanged: change !== undefined && !isDryRun, isInLog: true, isSettled, nodes, ...log };
    });
  }

  put(node: ListedMember): undefined {
    this.nodes = [...this.nodes.filter(({ id }) => id !== node.id), node].sort((a, b) => a.id - b.id);
  }

  drop(id: number): undefined {
    this.nodes = this.nodes.filter((node) => node.id !== id);
  }

  work(options: ChangeMembersOptions = {}): MemberWork {
    return new MemberWork(this, 'change', options, 5_000);
  }
}

export const refuse = (code: ConstructorParameters<typeof LogError>[0], outcome?: 'unknown'): never => {
  throw new LogError(code, `${code} it is`, {}, outcome);
};
