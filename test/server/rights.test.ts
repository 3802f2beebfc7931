// The whole matrix of scopes and requests, at both acceptors: every kind of request that there is, with each of the flags that need more, and every page. What is
// not allowed is refused as such, before anything else of it is looked at, and changes nothing. Requests are those that have a right, so a new one is in the
// matrix without a line here; and one that nobody gave a right fails.

import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { ALL_SCOPES, SCOPES, type Scope, scopeNames } from '../../src/core/access.ts';
import { WORD } from '../../src/memory/map.ts';
import { type Answer, decodeAnswer } from '../../src/protocol/answers.ts';
import * as protocol from '../../src/protocol/client.ts';
import { CLIENT_UPLOADS } from '../../src/protocol/greeting.ts';
import { encodeTokensRequest, TOKENS } from '../../src/protocol/tokens.ts';
import { encodeUpload } from '../../src/protocol/uploads.ts';
import { PAGE_RIGHTS, REQUEST_RIGHTS } from '../../src/server/rights.ts';
import { openDoor, type TokenDoor } from '../contract/tokenDoor.ts';
import { frameEntries } from './support/entries.ts';
import { eventually } from './support/fixture.ts';

const { APPEND, CANCEL, SUBPROTOCOL, encodeIntroduce, requestMessage } = protocol;

const ID = 7;
const PROBE = 8;

/** What is only asked for by whoever was not let in yet. */
const FOR_STRANGERS = ['AUTHENTICATE'];

/** Names of requests by their opcodes, as far as the protocol's first file has them. */
const NAMES = new Map(
  Object.entries(protocol).flatMap(([name, value]): [number, string][] =>
    /^[A-Z]+$/.test(name) && typeof value === 'number' && value < 0x80 && !FOR_STRANGERS.includes(name) ? [[value, name]] : [],
  ),
);

function append(): Uint8Array {
  const one = frameEntries([Buffer.from('x')], []);
  const message = new Uint8Array(protocol.MESSAGE_HEADER_BYTES + one.length);
  message.set(requestMessage(APPEND, 0, ID, 0, 1));
  message.set(one, protocol.MESSAGE_HEADER_BYTES);
  return message;
}

function introduction(): Uint8Array {
  return encodeIntroduce(ID, { name: 'matrix', lowestVersion: 1, highestVersion: 1, features: CLIENT_UPLOADS });
}

/** Requests that are more than a header. All others are told that something is wrong with theirs, or not: only who may ask learns that. */
const WHOLE: Readonly<Record<number, () => Uint8Array>> = {
  [APPEND]: append,
  [protocol.INTRODUCE]: introduction,
  [protocol.UPLOAD]: () => encodeUpload(ID, new Uint8Array(16).fill(1), 0, 4, new Uint8Array(4)),
  [TOKENS]: () => encodeTokensRequest(ID, { what: 'remove', id: '00112233aabbccdd' }),
};

interface Case {
  readonly name: string;
  readonly needed: Scope | undefined;
  readonly messages: readonly Uint8Array[];
}

const bitsOf = (flags: number): number[] => [1, 2, 4, 8, 16, 32, 64, 128].filter((bit) => (flags & bit) !== 0);

const CASES: readonly Case[] = REQUEST_RIGHTS.flatMap((right) => {
  const { opcode } = right;
  const name = NAMES.get(opcode) ?? `opcode ${opcode}`;
  // An UPLOAD is known only to clients that said so.
  const before = opcode === protocol.UPLOAD ? [introduction()] : [];
  const plain: Case = { name, needed: right.needs, messages: [...before, WHOLE[opcode]?.() ?? requestMessage(opcode, 0, ID)] };
  const flagged = bitsOf(right.flags ?? 0).map((flag) => ({
    name: `${name} with flag ${flag}`,
    needed: right.flagsNeed,
    messages: [...before, requestMessage(opcode, flag, ID)],
  }));
  return [plain, ...flagged];
});

const allows = (scopes: number, needed: Scope | undefined): boolean =>
  needed === undefined || (scopes & (SCOPES[needed] | SCOPES.admin)) !== 0;

const shown = (token: string): { headers: Record<string, string> } => ({ headers: { authorization: `Bearer ${token}` } });

/** The scope that was missed for what was asked for on a connection of its own; undefined: none. */
async function missed({ server }: TokenDoor, token: string, messages: readonly Uint8Array[]): Promise<string | undefined> {
  const socket = new WebSocket(server.url, SUBPROTOCOL, shown(token));
  onTestFinished(() => socket.terminate());
  const answers: Answer[] = [];
  let isOver = false;
  socket.on('message', (data: Buffer) => void answers.push(decodeAnswer(data)));
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isOver = true;
  });
  await eventually(() => answers.length > 0, 'a greeting');
  for (const message of messages) socket.send(message);
  // What is refused for want of a scope is refused at once, so before this is answered.
  socket.send(requestMessage(CANCEL, 0, PROBE));
  const isHeard = (): boolean => isOver || answers.some((answer) => answer.kind === 'cancelled' && answer.requestId === PROBE);
  await eventually(isHeard, 'an answer, or the end');
  socket.terminate();
  const refused = answers.find((answer) => answer.kind === 'error' && answer.code === 'FORBIDDEN');
  if (refused?.kind !== 'error') return undefined;
  expect([refused.requestId, refused.fatal]).toEqual([ID, false]);
  return scopeNames(refused.offset).join();
}

test('each kind of request has a right of its own, once', () => {
  const opcodes = REQUEST_RIGHTS.map(({ opcode }) => opcode);
  expect(new Set(opcodes).size).toBe(opcodes.length);
  expect([...NAMES].filter(([opcode]) => !opcodes.includes(opcode))).toEqual([]);
});

describe.each(['uws', 'ws'] as const)('by %s', (acceptor) => {
  let door: TokenDoor;

  beforeAll(async () => {
    let end = (): Promise<void> => Promise.resolve();
    door = await openDoor({ acceptor }, (ending) => {
      end = ending;
    });
    // As on a node of a cluster; it has no room for any.
    Object.defineProperty(door.server.engine.uploads, 'isOn', { value: true });
    return () => end();
  });

  test.each([0, ...Object.values(SCOPES), ALL_SCOPES & ~SCOPES.admin])(
    'scopes %i: each request is allowed or refused as the table says',
    async (scopes) => {
      const token = door.tokens.make({ scopes });
      const forbidden = CASES.filter(({ needed }) => !allows(scopes, needed));
      const before = door.server.engine.memory.word(WORD.TAIL);
      const found = await Promise.all(forbidden.map(({ messages }) => missed(door, token, messages)));
      expect(found.map((scope, i) => [forbidden[i]?.name, scope])).toEqual(forbidden.map(({ name, needed }) => [name, needed]));
      expect(door.server.engine.memory.word(WORD.TAIL)).toBe(before);
      for (const { name, messages } of CASES.filter(({ needed }) => allows(scopes, needed))) {
        expect([name, await missed(door, token, messages)]).toEqual([name, undefined]);
      }
    },
  );

  test.each([0, ...Object.values(SCOPES)])('scopes %i: each page is there or not as the table says', async (scopes) => {
    const token = door.tokens.make({ scopes });
    for (const [page, needed] of Object.entries(PAGE_RIGHTS)) {
      for (const path of [page, `${page}?x=1`]) {
        for (const method of ['GET', 'HEAD']) {
          const { status } = await fetch(`${door.http}${path}`, { method, ...shown(token) });
          expect([path, method, status === 403]).toEqual([path, method, !allows(scopes, needed)]);
        }
      }
    }
  });
});
