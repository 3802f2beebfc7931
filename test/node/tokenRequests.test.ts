// The token that a node's directory asks for, and what its node does about it: with a made-up directory, clock and leader.

import { expect, test } from 'vitest';
import { NO_QUOTAS } from '../../src/core/access.ts';
import { LogError } from '../../src/core/errors.ts';
import type { AccessChange } from '../../src/format/access.ts';
import { TokenRequests } from '../../src/node/tokenRequests.ts';
import type { TokenRequest } from '../../src/storage/tokenRequest.ts';
import { rethrow } from '../support/loop.ts';

const LOOK_MS = 50;
const ASK_MS = 10;

const request = (id: number): TokenRequest => ({
  what: 'put',
  isRequest: true,
  record: {
    id: String(id).padStart(11, '0'),
    hash: 'ab'.repeat(32),
    name: 'op',
    scopes: 16,
    createdMs: 1,
    expiresMs: 0,
    quotas: NO_QUOTAS,
  },
});

class Bench {
  file: TokenRequest | Error | undefined;
  leads = false;
  refuses: LogError | undefined;
  readonly committed = new Set<string>();
  readonly ordered: string[] = [];
  readonly asked: AccessChange[] = [];
  readonly lines: string[] = [];
  readonly delays: number[] = [];
  readonly requests: TokenRequests;
  #run: (() => void) | undefined;

  constructor(readOnly = '') {
    this.requests = new TokenRequests({
      loop: {
        after: (delayMs, run) => {
          this.delays.push(delayMs);
          this.#run = run;
          return { cancel: () => undefined };
        },
      },
      tasks: {
        readTokenRequest: async () => {
          if (this.file instanceof Error) throw this.file;
          return this.file;
        },
        removeTokenRequest: async ({ id }) => {
          if (!(this.file instanceof Error) && this.file?.record.id === id) this.file = undefined;
          return true;
        },
      },
      access: { wasRequested: (id) => this.committed.has(id) },
      own: {
        access: (change) => {
          if (this.refuses !== undefined) throw this.refuses;
          const id = change?.what === 'put' ? change.record.id : '';
          const isNew = !this.ordered.includes(id);
          if (isNew) this.ordered.push(id);
          return { isNew, term: 1, end: 1 };
        },
      },
      refusal: () => (this.leads ? undefined : new LogError('NOT_LEADER', 'another one leads')),
      raft: () => ({ askAccess: (change) => void this.asked.push(change) }),
      readOnly,
      log: { info: (line) => void this.lines.push(line), warn: (line) => void this.lines.push(`warn: ${line}`) },
      broke: rethrow,
      times: { lookMs: LOOK_MS, askMs: ASK_MS },
    });
  }

  async look(): Promise<void> {
    if (this.#run === undefined) this.requests.start();
    else this.#run();
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  }
}

test('a request is asked for until it is in the log by a committed entry, and removed only then', async () => {
  const bench = new Bench();
  await bench.look();
  bench.file = request(1);
  for (let step = 0; step < 3; step += 1) await bench.look();
  expect(bench.asked).toEqual([request(1), request(1), request(1)]);
  expect(bench.delays).toEqual([LOOK_MS, ASK_MS, ASK_MS, ASK_MS]);
  // It leads now, and orders it itself: once.
  bench.leads = true;
  for (let step = 0; step < 3; step += 1) await bench.look();
  expect([bench.ordered, bench.asked.length, bench.file]).toEqual([[request(1).record.id], 3, request(1)]);
  bench.committed.add(request(1).record.id);
  await bench.look();
  expect([bench.file, bench.delays.at(-1)]).toEqual([undefined, LOOK_MS]);
  expect(bench.lines).toEqual([
    "this node's directory asks for the token 00000000001: it goes to whoever leads",
    "the token 00000000001, for which this node's directory asked, is in the log: the request was removed",
  ]);
});

test('what cannot be followed is said once, and looked at again', async () => {
  const bench = new Bench();
  bench.leads = true;
  bench.file = new LogError('DAMAGE', 'others may have written it');
  for (let step = 0; step < 3; step += 1) await bench.look();
  bench.file = request(2);
  bench.refuses = new LogError('TOO_MANY_TOKENS', 'there is no room');
  for (let step = 0; step < 3; step += 1) await bench.look();
  bench.refuses = undefined;
  await bench.look();
  expect(bench.ordered).toEqual([request(2).record.id]);
  expect(bench.lines.filter((line) => line.startsWith('warn'))).toEqual([
    'warn: others may have written it',
    "warn: this node's directory asks for the token 00000000002, which waits: there is no room",
  ]);
});

test('another one that cannot be followed is said as well, also where the same is wrong with it', async () => {
  const bench = new Bench();
  const wrong = new LogError('DAMAGE', 'it is none');
  for (const file of [wrong, wrong, undefined, wrong, wrong]) {
    bench.file = file;
    await bench.look();
  }
  expect(bench.lines).toEqual(['warn: it is none', 'warn: it is none']);
  // What another node asks, again and again, is told once, whatever is here meanwhile.
  bench.leads = true;
  bench.file = undefined;
  for (let step = 0; step < 3; step += 1) {
    bench.requests.asked(2, undefined);
    await bench.look();
  }
  expect(bench.lines.slice(2)).toEqual(['warn: node 2 asks for a change of tokens that no directory asks for: nothing of it is done']);
});

test('on a mirror it waits, and that is said', async () => {
  const bench = new Bench('this node is a read-only mirror');
  bench.file = request(3);
  for (let step = 0; step < 2; step += 1) await bench.look();
  expect([bench.ordered, bench.asked, bench.delays]).toEqual([[], [], [LOOK_MS, LOOK_MS]]);
  expect(bench.lines).toEqual(['warn: its directory asks for the token 00000000003, which waits: this node is a read-only mirror']);
});

test('a leader puts what another node asks for, and nothing but what a directory can ask for', () => {
  const bench = new Bench();
  bench.requests.asked(2, request(4));
  expect(bench.ordered).toEqual([]);
  bench.leads = true;
  bench.requests.asked(2, request(4));
  bench.requests.asked(2, request(4));
  for (const wrong of [undefined, { what: 'remove', id: request(4).record.id }, { ...request(5), isRequest: false }] as const)
    bench.requests.asked(2, wrong);
  expect(bench.ordered).toEqual([request(4).record.id]);
  expect(bench.lines).toEqual([
    'the directory of node 2 asks for the token 00000000004',
    'warn: node 2 asks for a change of tokens that no directory asks for: nothing of it is done',
  ]);
});

test('where nobody is to look, nobody does; and after the end neither', async () => {
  const bench = new Bench();
  bench.file = request(6);
  bench.requests.stop();
  await bench.look();
  expect([bench.asked, bench.delays]).toEqual([[], []]);
});
