// Whatever a client says first to a node that asks who it is: 10^5 beginnings, of which only those with a whole token that holds are let in. Each other one
// hears the short HELLO and one ERROR, and is closed. And 10^5 introductions, which are refused or say what they may. More: FUZZ_COUNT and FUZZ_SEED.

import { expect, it } from 'vitest';
import { MAX_CLIENT_NAME_BYTES } from '../../src/core/servingLimits.ts';
import { decodeAnswer } from '../../src/protocol/answers.ts';
import {
  CLOSE_UNAUTHENTICATED,
  decodeRequest,
  END,
  encodeAuthenticate,
  encodeIntroduce,
  MESSAGE_HEADER_BYTES,
  requestMessage,
} from '../../src/protocol/client.ts';
import { decodeIntroduce, encodeShortHello } from '../../src/protocol/greeting.ts';
import type { ClientSocket } from '../../src/server/clientSocket.ts';
import { Doorkeeper } from '../../src/server/doorkeeper.ts';
import { Incidents } from '../../src/server/incidents.ts';
import { SendBudget } from '../../src/server/sendBudget.ts';
import { Session } from '../../src/server/session.ts';
import { type Stranger, Strangers } from '../../src/server/strangers.ts';
import { Random } from '../assembly/random.ts';
import { TestTokens } from '../support/access.ts';

const SEED = Number(process.env.FUZZ_SEED ?? 1);
const COUNT = Number(process.env.FUZZ_COUNT ?? 100_000);

class Socket implements ClientSocket {
  readonly sent: Uint8Array[] = [];
  closeCode = 0;
  send = (message: Uint8Array): void => void this.sent.push(message.slice());
  end = (closeCode: number): void => {
    this.closeCode = closeCode;
  };
  close = (): void => this.end(1006);
  ping = (): void => undefined;
  remoteAddress = (): string => '127.0.0.1';
  bufferedBytes = (): number => 0;
}

/** A few bytes of it are others, it ends early, or goes on. */
function damaged(random: Random, message: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(message);
  for (let edits = random.below(4); edits > 0; edits -= 1) bytes[random.below(bytes.length)] = random.u32();
  const length = random.oneIn(8) ? random.below(bytes.length + 1) : bytes.length;
  const more = random.oneIn(8) ? random.below(300) : 0;
  const all = new Uint8Array(length + more);
  all.set(bytes.subarray(0, length));
  for (let at = length; at < all.length; at += 1) all[at] = random.u32();
  return all;
}

it(`${COUNT} strangers are let in by a token that holds, and by nothing else (seed ${SEED})`, () => {
  const random = new Random(SEED);
  const tokens = new TestTokens();
  const [good, gone, late] = [tokens.make(), tokens.make(), tokens.make({ expiresMs: 1 })];
  tokens.revoke(gone);
  const waiting: (() => void)[] = [];
  const loop = {
    nowMs: () => 0,
    afterTurn: (run: () => void) => run(),
    // Whoever shows a token that nobody knows is looked for once more; all else that waits is a bound on time.
    after: (_delayMs: number, run: () => void) => {
      waiting.push(run);
      return { cancel: () => void waiting.splice(waiting.indexOf(run), 1) };
    },
  };
  const incidents = new Incidents(() => undefined);
  const budget = new SendBudget();
  const admitted = new Set<Stranger>();
  const admit = (stranger: Stranger): void => void admitted.add(stranger);
  const access = new Doorkeeper(true, tokens, loop);
  const strangers = new Strangers<Stranger>({ access, incidents, loop, hasPlaceForClient: () => true, admit });
  const introduction = encodeIntroduce(2, { name: 'fuzz', lowestVersion: 1, highestVersion: 1, features: 1 });
  const seeds: [Uint8Array, ...Uint8Array[]] = [
    encodeAuthenticate(1, good),
    ...[good, gone, late, 'x'].map((token) => encodeAuthenticate(1, token)),
    introduction,
    requestMessage(END, 0, 3),
  ];
  let letIn = 0;
  for (let i = 0; i < COUNT; i += 1) {
    const socket = new Socket();
    const stranger = { session: new Session(socket, budget, incidents) };
    const message = damaged(random, random.pick(...seeds));
    const shown = Buffer.from(message.subarray(MESSAGE_HEADER_BYTES)).toString('latin1');
    const isInHeader = random.oneIn(4) && shown !== '';
    strangers.came(stranger, isInHeader ? shown : undefined);
    if (!isInHeader) strangers.message(stranger, message);
    for (const run of waiting.splice(0)) if (strangers.has(stranger)) run();
    strangers.gone(stranger);
    const holds = shown === good && (isInHeader || (message[0] === seeds[0]?.[0] && message[1] === 0));
    if (admitted.has(stranger) !== holds) throw new Error(`stranger ${i} of seed ${SEED} was ${holds ? 'not ' : ''}let in`);
    if (holds) letIn += 1;
    const [hello, ...answers] = isInHeader ? [encodeShortHello(), ...socket.sent] : socket.sent;
    const said = answers.map(decodeAnswer).map((answer) => (answer.kind === 'error' ? `${answer.code} ${answer.fatal}` : answer.kind));
    const expected = holds ? [] : shown === late && said[0] !== 'UNAUTHENTICATED true' ? ['TOKEN_EXPIRED true'] : ['UNAUTHENTICATED true'];
    const isRight = said.join() === expected.join() && Buffer.compare(hello ?? new Uint8Array(0), encodeShortHello()) === 0;
    if (!isRight || socket.closeCode !== (holds ? 0 : CLOSE_UNAUTHENTICATED))
      throw new Error(`stranger ${i} of seed ${SEED} was told ${said.join()}, and closed with ${socket.closeCode}`);
    admitted.clear();
  }
  access.stop();
  expect(strangers.size).toBe(0);
  expect(letIn).toBeGreaterThan(COUNT / 100);
  expect(letIn).toBeLessThan(COUNT / 2);
});

it(`${COUNT} introductions of any kind are refused, or say what they may (seed ${SEED})`, () => {
  const random = new Random(SEED);
  const request = { opcode: 0, flags: 0, requestId: 0, offset: 0, a: 0, b: 0 };
  let believed = 0;
  for (let i = 0; i < COUNT; i += 1) {
    const name = random.pick('fuzz', '\u0007\u2028ü', 'n'.repeat(MAX_CLIENT_NAME_BYTES));
    const bytes = damaged(
      random,
      encodeIntroduce(i, { name, lowestVersion: 1, highestVersion: 1 + random.below(3), features: random.u32() }),
    );
    if (!decodeRequest(new DataView(bytes.buffer), request)) continue;
    const found = decodeIntroduce(request.a, request.b, bytes.subarray(MESSAGE_HEADER_BYTES));
    if (typeof found === 'string') continue;
    believed += 1;
    const { lowestVersion, highestVersion } = found;
    const isRight =
      lowestVersion > 0 && lowestVersion <= highestVersion && found.name.length <= MAX_CLIENT_NAME_BYTES && !/\p{Cc}/u.test(found.name);
    if (!isRight) throw new Error(`introduction ${i} of seed ${SEED} is taken for ${JSON.stringify(found)}`);
  }
  expect(believed).toBeGreaterThan(COUNT / 100);
  expect(believed).toBeLessThan(COUNT);
});
