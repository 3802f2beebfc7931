// Fuzzing of the client protocol: a node in a process of its own, clients that send valid, mutated and random messages whole, in
// fragments and in part, and a canary that must notice nothing: after each round everything that it was told is there.

import { encodeToken, NO_QUOTAS, TOKEN_RANDOM_BYTES, type TokenRecord, tokenIdOf } from '../../src/core/access.ts';
import type { MemberChange } from '../../src/core/memberChanges.ts';
import type { ConsumerChange } from '../../src/format/consumers.ts';
import {
  APPEND,
  APPEND_CHAINED,
  APPEND_CONDITIONAL,
  APPEND_RECEIVED,
  CANCEL,
  CREDIT,
  END,
  encodeIntroduce,
  FIND,
  MESSAGE_HEADER_BYTES,
  READ,
  requestMessage,
  SUBSCRIBE,
  TRANSFER,
  UPGRADE,
  UPLOAD,
} from '../../src/protocol/client.ts';
import { encodeConsumersRequest } from '../../src/protocol/consumers.ts';
import { encodeMembersRequest } from '../../src/protocol/members.ts';
import { APPEND_SESSION, APPEND_SESSION_BYTES, encodeAppendSession, encodeOpenSession } from '../../src/protocol/sessions.ts';
import { encodeTokensRequest, type TokenChange } from '../../src/protocol/tokens.ts';
import { Random } from '../assembly/random.ts';
import { Canary } from '../server/support/canary.ts';
import { frameEntries } from '../server/support/entries.ts';
import { ProcessNode, removeDirectory, temporaryDirectory } from '../server/support/processNode.ts';
import { RawClient } from '../server/support/rawClient.ts';
import { FuzzSocket } from './webSocket.ts';

export interface ProtocolFuzzResult {
  readonly rounds: number;
  readonly connections: number;
  readonly messages: number;
  /** What must not happen, with the seed that replays it: `fuzzProtocol(seed, 0)`. */
  readonly failure: string | undefined;
}

const MAX_RESIDENT_MEGABYTES = 700;
/** After so many rounds the node is stopped or killed, started again, and its whole log read. */
const ROUNDS_A_RUN = 25;
/** After so many runs the log is thrown away, so that a long fuzzing fits on a disk. */
const RUNS_A_LOG = 8;

const INTERESTING = [
  0, 1, 11, 12, 0x7f, 0xff, 0x100, 0xffff, 0x1_0000, 0xff_ffff, 0x100_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
] as const;

/** A value that finds mistakes more often than a random one. */
function interesting(random: Random): number {
  return random.oneIn(3) ? random.u32() : (INTERESTING[random.below(INTERESTING.length)] ?? 0);
}

/** An offset that may be a boundary, inside an entry, or nowhere. */
function someOffset(random: Random, commit: number): number {
  switch (random.below(6)) {
    case 0:
      return 0;
    case 1:
      return 12;
    case 2:
      return commit;
    case 3:
      return random.below(commit + 1);
    case 4:
      return commit + random.below(100_000);
    default:
      return random.safeInteger();
  }
}

function appendRequest(random: Random, requestId: number, commit: number): Uint8Array {
  const large = random.oneIn(15);
  const payloads = Array.from({ length: 1 + random.below(8) }, () => {
    const payload = new Uint8Array(large ? random.below(9000) : random.below(120));
    for (let i = 0; i < payload.length; i += 4) payload[i] = random.u32();
    return payload;
  });
  const flags = appendFlags(random);
  const offset = (flags & APPEND_CONDITIONAL) === 0 ? 0 : someOffset(random, commit);
  const term = random.oneIn(3) ? random.pick(1, 2, 3, interesting(random)) : 0;
  const header = requestMessage(APPEND, flags, requestId, offset, payloads.length, (flags & APPEND_CONDITIONAL) === 0 ? 0 : term);
  // Conditional and chained ones are one batch, as a rule.
  const isBatch = flags > APPEND_RECEIVED ? !random.oneIn(5) : random.oneIn(5);
  return new Uint8Array(Buffer.concat([header, frameEntries(payloads, isBatch ? payloads.slice(1).map((_, i) => i) : [])]));
}

/** Plain ones, heads and links of chains; seldom both in one, or a bit that means nothing. */
function appendFlags(random: Random): number {
  const received = random.oneIn(3) ? APPEND_RECEIVED : 0;
  if (random.oneIn(40)) return random.below(16);
  return received | random.pick(0, 0, APPEND_CONDITIONAL, APPEND_CHAINED, APPEND_CHAINED);
}

/** Mostly as it should be: a connection that introduced itself survives what is unknown, and so comes far. */
function introduce(random: Random): Uint8Array {
  const [lowestVersion = 1, highestVersion = 1] = random.oneIn(6) ? random.pick([0, 1], [2, 3], [3, 1]) : random.pick([1, 1], [1, 2]);
  const name = 'fuzz\u0007'.repeat(random.oneIn(6) ? random.pick(0, 13, 300) : random.pick(1, 12));
  return encodeIntroduce(interesting(random), { lowestVersion, highestVersion, features: interesting(random), name });
}

function membersRequest(random: Random, requestId: number): Uint8Array {
  const id = random.oneIn(3) ? interesting(random) & 0xff : 1 + random.below(4);
  const [port, peerPort] = [random.below(3), random.below(3)];
  const add = {
    kind: 'add',
    id,
    instance: random.pick('0', 'a').repeat(16),
    isReader: random.oneIn(2),
    host: 'h'.repeat(random.pick(0, 1, 300)),
    port,
    peerPort,
  } as const;
  const change = random.pick<MemberChange | undefined>(
    undefined,
    add,
    { kind: 'remove', id },
    { kind: 'promote', id },
    { kind: 'demote', id },
    { kind: 'move', id, host: 'h'.repeat(random.pick(0, 1, 300)), port, peerPort },
  );
  return encodeMembersRequest(requestId, change, random.oneIn(2));
}

const CONSUMER_NAMES = ['a', 'b', 'c'.repeat(64), 'c'.repeat(65), '\u0007', ''] as const;

function consumersRequest(random: Random, requestId: number, commit: number): Uint8Array {
  const name = random.pick(...CONSUMER_NAMES);
  const position = random.oneIn(5) ? undefined : someOffset(random, commit);
  const change = random.pick<ConsumerChange | undefined>(
    undefined,
    { what: 'claim', name },
    { what: 'commit', fence: someOffset(random, commit), position: position ?? 0 },
    { what: 'reset', name, position },
    { what: 'remove', name },
  );
  const generation = '0'.repeat(16);
  return encodeConsumersRequest(requestId, change === undefined ? undefined : { change, generation });
}

/** Opens a session, or appends in one that may be there: each has the offset of the entry that opened it as its number. */
function sessionRequest(random: Random, requestId: number, commit: number): Uint8Array {
  const instance = random.pick('0', '1', '2').repeat(16);
  if (random.oneIn(2))
    return encodeOpenSession(
      requestId,
      { name: random.pick(...CONSUMER_NAMES), instance },
      random.oneIn(2) ? 0 : someOffset(random, commit),
    );
  const entries = frameEntries(
    Array.from({ length: 1 + random.below(3) }, () => new Uint8Array(random.below(100))),
    random.oneIn(5) ? [] : [0, 1],
  );
  const message = new Uint8Array(MESSAGE_HEADER_BYTES + APPEND_SESSION_BYTES + entries.length);
  message.set(requestMessage(APPEND, APPEND_SESSION | appendFlags(random), requestId, 0, 1 + random.below(3)));
  encodeAppendSession(message, MESSAGE_HEADER_BYTES, { session: someOffset(random, commit), sequence: 1 + random.below(4) });
  message.set(entries, MESSAGE_HEADER_BYTES + APPEND_SESSION_BYTES);
  return message;
}

function tokensRequest(random: Random, requestId: number): Uint8Array {
  const id = random.pick('1', '2', '3').repeat(16);
  const record: TokenRecord = {
    id: tokenIdOf(encodeToken(new Uint8Array(TOKEN_RANDOM_BYTES).fill(random.below(20)))) ?? '',
    hash: id.repeat(4),
    name: 'n'.repeat(1 + random.below(64)),
    scopes: 1 + random.below(63),
    createdMs: someOffset(random, 0),
    expiresMs: someOffset(random, 0),
    quotas: { ...NO_QUOTAS, connections: interesting(random) },
  };
  const change = random.pick<TokenChange | undefined>(
    undefined,
    { what: 'put', record, isRequest: random.oneIn(4) },
    { what: 'remove', id: record.id },
  );
  return encodeTokensRequest(requestId, change);
}

/** What is asked for seldom, but for what removes entries, which the canary would miss. */
function seldomRequest(random: Random, requestId: number, commit: number): Uint8Array {
  switch (random.below(7)) {
    case 0:
      return membersRequest(random, requestId);
    case 1:
      return consumersRequest(random, requestId, commit);
    case 2:
    case 3:
      return sessionRequest(random, requestId, commit);
    case 4:
      return tokensRequest(random, requestId);
    case 5:
      return requestMessage(FIND, 0, requestId, someOffset(random, commit), interesting(random), interesting(random));
    default:
      return requestMessage(
        random.pick(UPGRADE, TRANSFER, UPLOAD),
        random.below(2),
        requestId,
        0,
        interesting(random),
        interesting(random),
      );
  }
}

function request(random: Random, commit: number): Uint8Array {
  const requestId = random.oneIn(3) ? interesting(random) : random.below(20);
  switch (random.below(10)) {
    case 0:
      return requestMessage(READ, 0, requestId, someOffset(random, commit), interesting(random), random.oneIn(2) ? 0 : random.below(200));
    case 1:
    case 2:
      return requestMessage(
        SUBSCRIBE,
        0,
        requestId,
        someOffset(random, commit),
        random.oneIn(2) ? random.below(50_000) : interesting(random),
      );
    case 3:
      return requestMessage(CREDIT, 0, requestId, 0, interesting(random));
    case 4:
      return requestMessage(CANCEL, 0, requestId);
    case 5:
      return requestMessage(
        END,
        random.below(4),
        requestId,
        someOffset(random, commit),
        0,
        random.pick(0, random.below(300), interesting(random)),
      );
    case 6:
    case 7:
      return seldomRequest(random, requestId, commit);
    default:
      return appendRequest(random, requestId, commit);
  }
}

/** Changes a message in one of the ways in which bytes go wrong; its length too. */
function mutate(random: Random, message: Uint8Array): Uint8Array {
  const bytes = message.slice();
  const view = new DataView(bytes.buffer);
  const at = random.below(bytes.length);
  switch (random.below(7)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    case 1:
      if (bytes.length >= 4) view.setUint32(random.below(bytes.length - 3), interesting(random), true);
      return bytes;
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return new Uint8Array(Buffer.concat([bytes, Uint8Array.from({ length: 1 + random.below(40) }, () => random.u32())]));
    case 4:
      bytes.copyWithin(at, random.below(bytes.length), random.below(bytes.length + 1));
      return bytes;
    case 5:
      if (bytes.length >= 24) view.setUint32(4 * random.below(6), interesting(random), true);
      return bytes;
    default:
      return Uint8Array.from({ length: random.below(100) }, () => random.u32());
  }
}

interface Counters {
  connections: number;
  messages: number;
}

/** One badly behaved client, from its handshake to its end. */
async function attack(url: string, random: Random, commit: number, counters: Counters): Promise<void> {
  const socket = new FuzzSocket(url, random);
  counters.connections += 1;
  await socket.handshake();
  if (random.oneIn(6)) socket.pauseReading();
  const isGentle = random.oneIn(2);
  if (random.oneIn(2)) await socket.message(random.oneIn(5) ? mutate(random, introduce(random)) : introduce(random));
  for (let left = 1 + random.below(40); left > 0 && !socket.isClosed; left--) {
    const valid = random.oneIn(80) ? introduce(random) : request(random, commit);
    counters.messages += 1;
    // One fatal error ends a connection, so some clients are mostly right and come far.
    await socket.message(random.oneIn(isGentle ? 25 : 3) ? mutate(random, valid) : valid);
  }
  if (random.oneIn(8)) await socket.garbage();
  socket.resumeReading();
  if (random.oneIn(2)) {
    const { receivedBytes } = socket;
    await socket.message(requestMessage(END, 0, 1));
    await socket.answered(receivedBytes);
  }
  await socket.leave();
}

/** A node, and what it must keep. */
class Target {
  readonly data = temporaryDirectory();
  readonly #canaries: Canary[] = [];
  node!: ProcessNode;
  canary!: Canary;

  async start(tag: string): Promise<void> {
    this.node = await ProcessNode.start({ data: this.data, segmentBytes: 65536, slots: 3, windowBytes: 65536 });
    this.canary = await Canary.start(this.node.url, tag);
    this.#canaries.push(this.canary);
  }

  /** Ends the node one way or the other, starts it again, and reads all of its log. */
  async restart(random: Random, tag: string): Promise<void> {
    await this.canary.stop();
    if (random.oneIn(2)) {
      await this.node.kill();
    } else {
      const { code } = await this.node.stop();
      if (code !== 0) throw new Error(`the node stopped with exit code ${code}:\n${this.node.stderr}`);
    }
    await this.start(tag);
    const client = await RawClient.connect(this.node.url);
    const { commit } = await client.end();
    await client.readAll(0, commit, () => undefined);
    for (const canary of this.#canaries.slice(0, -1)) await canary.verifyAll(client);
    await client.close();
  }

  /** Throws when the last round was noticed. */
  async check(): Promise<void> {
    await this.canary.progress(8);
    await this.canary.check();
    const { memory } = await this.node.status();
    if (memory.residentBytes > MAX_RESIDENT_MEGABYTES * 1e6) {
      throw new Error(
        `the node has ${(memory.residentBytes / 1e6).toFixed(0)} MB resident; at most ${MAX_RESIDENT_MEGABYTES} are expected`,
      );
    }
    const bad = this.node.stderr.split('\n').find((line) => /"level":(50|60)/.test(line));
    if (bad !== undefined) throw new Error(`the node logged ${bad}`);
  }

  async end(): Promise<void> {
    this.canary?.terminate();
    await this.node?.kill();
    removeDirectory(this.data);
  }
}

/**
 * Runs rounds for `seconds`, and at least `minRounds`; round i draws from seed + i. What a seed sends is always the same; how the connections of
 * a round interleave is up to the machine.
 */
export async function fuzzProtocol(seed: number, seconds: number, minRounds = 1): Promise<ProtocolFuzzResult> {
  const deadline = performance.now() + seconds * 1000;
  const counters: Counters = { connections: 0, messages: 0 };
  let target = new Target();
  let round = 0;
  try {
    await target.start('run 0');
    do {
      const random = new Random(seed + round);
      const { log } = await target.node.status();
      const attackers = Array.from({ length: 1 + random.below(6) }, () => new Random(random.u32()));
      await Promise.all(attackers.map((attacker) => attack(target.node.url, attacker, log.commit, counters)));
      await target.check();
      round += 1;
      if (round % (ROUNDS_A_RUN * RUNS_A_LOG) === 0) {
        await target.canary.stop();
        await target.end();
        target = new Target();
        await target.start(`run ${round}`);
      } else if (round % ROUNDS_A_RUN === 0) {
        await target.restart(random, `run ${round}`);
      }
    } while (performance.now() < deadline || round < minRounds);
    await target.restart(new Random(seed), 'last run');
    return { rounds: round, ...counters, failure: undefined };
  } catch (thrown) {
    const what = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    const { code, signal } = target.node?.isRunning === false ? await target.node.exited : { code: 'runs', signal: null };
    const failure = `protocol, seed ${seed + round}: ${what}\nthe node: ${code ?? signal}\n${target.node?.stderr.slice(-4000) ?? ''}`;
    return { rounds: round, ...counters, failure };
  } finally {
    await target.end();
  }
}
