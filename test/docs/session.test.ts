// The session of docs/PROTOCOL.md, byte by byte, replayed against a node. With LOGLOG_WRITE_DOCS=1 what the node answers is written there.

import { readFileSync, writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { SCAN_ACTED_ON, SCAN_VERIFY, WALK_COMPLETE } from '../../assembly/layout.ts';
import { fromHex, viewOf } from '../../src/core/bytes.ts';
import { entryBytesAt } from '../../src/format/entry.ts';
import { decodeAnswer } from '../../src/protocol/answers.ts';
import { APPENDED, APPENDED_HEADER_BYTES, DATA, RECEIPT_BYTES, SUBPROTOCOL } from '../../src/protocol/client.ts';
import { HELLO } from '../../src/protocol/greeting.ts';
import { createIdentity, IDENTITY_RANDOM_BYTES, writeIdentity } from '../../src/storage/dataDirectory.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { makeDirectory, startNode } from '../server/support/fixture.ts';
import { scan } from '../support/entryTwin.ts';

const PATH = new URL('../../docs/PROTOCOL.md', import.meta.url);

interface Message {
  readonly isRequest: boolean;
  readonly title: string;
  readonly bytes: Uint8Array;
}

/** The first block of the session: titles, each with its dump. */
function messagesOf(block: string): Message[] {
  return block
    .trim()
    .split('\n\n')
    .map((part) => {
      const [title = '', ...lines] = part.split('\n');
      const bytes = fromHex(lines.map((line) => line.slice(4).replace(/ /g, '')).join(''));
      return { isRequest: title.startsWith('> '), title, bytes };
    });
}

function dump({ title, bytes }: Message): string {
  const lines = [title];
  for (let at = 0; at < bytes.length; at += 16) {
    const hex = [...bytes.subarray(at, at + 16)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    lines.push(`${at.toString(16).padStart(4, '0')}  ${hex}`);
  }
  return lines.join('\n');
}

/** What the title of an ERROR must say of it: number and name, id, and the sentence in quotes. */
function factsOf(bytes: Uint8Array): string[] {
  const answer = decodeAnswer(bytes);
  if (answer.kind !== 'error') return [];
  return [`ERROR ${viewOf(bytes).getUint16(2, true)} ${answer.code},`, `id ${answer.requestId}`, `"${answer.message}"`];
}

/** How many receipts are in one message is up to the moment: one message for each. */
function split(bytes: Uint8Array): Uint8Array[] {
  if (bytes[0] !== APPENDED) return [bytes];
  return Array.from({ length: viewOf(bytes).getUint16(2, true) }, (_, i) => {
    const at = APPENDED_HEADER_BYTES + i * RECEIPT_BYTES;
    return Uint8Array.from([APPENDED, 0, 1, 0, 0, 0, 0, 0, ...bytes.subarray(at, at + RECEIPT_BYTES)]);
  });
}

/** What a log says of itself at its beginning is another in each log: a DATA from there gets the state entry that is written, which is a valid one. */
function sameState(data: Uint8Array, written: Uint8Array): void {
  if (viewOf(data).getUint32(8, true) !== 0) return;
  const stateBytes = entryBytesAt(viewOf(written), 24);
  for (const bytes of [data, written]) {
    const walk = scan(bytes.subarray(24, 24 + stateBytes), { offset: 0, flags: SCAN_VERIFY | SCAN_ACTED_ON });
    expect(walk).toMatchObject({ status: WALK_COMPLETE, count: 1, control: 0 });
  }
  data.set(written.subarray(24, 24 + stateBytes), 24);
}

test('docs/PROTOCOL.md: a node answers the session byte by byte as it is written', async () => {
  const text = readFileSync(PATH, 'utf8');
  const begin = text.indexOf('```\n', text.indexOf('## A session, byte by byte')) + 4;
  const end = text.indexOf('```', begin);
  const messages = messagesOf(text.slice(begin, end));
  const data = makeDirectory();
  const disk = new NodeDisk();
  const random = Uint8Array.from({ length: IDENTITY_RANDOM_BYTES }, (_, i) => i);
  const intro = text.slice(text.lastIndexOf('A new log', begin), begin);
  const clusterId = /cluster `([0-9a-f]{32})`/.exec(intro)?.[1] ?? '';
  const instance = /instance `([0-9a-f]{16})`/.exec(intro)?.[1] ?? '0'.repeat(16);
  writeIdentity(disk, data, { ...createIdentity(disk, data, random), clusterId, instance });
  const node = await startNode({ data });
  const socket = new WebSocket(node.url, SUBPROTOCOL);
  onTestFinished(() => socket.terminate());
  const answers: Uint8Array[] = [];
  let wake = (): void => undefined;
  socket.on('message', (answer: Buffer) => {
    answers.push(...split(new Uint8Array(answer)));
    wake();
  });
  const actual: Message[] = [];
  for (const message of messages) {
    if (message.isRequest) {
      socket.send(message.bytes);
      actual.push(message);
      continue;
    }
    while (answers.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    const bytes = answers.shift() ?? new Uint8Array();
    // The process draws its number anew at each start.
    if (bytes[0] === HELLO) bytes.set(message.bytes.subarray(64, 72), 64);
    // Each log draws the id of its generation.
    if (bytes[0] === HELLO && bytes.length > 80) bytes.set(message.bytes.subarray(80, 88), 80);
    if (bytes[0] === DATA && bytes.length === message.bytes.length) sameState(bytes, message.bytes);
    actual.push({ ...message, bytes });
  }
  const replayed = `${actual.map(dump).join('\n\n')}\n`;
  if (process.env.LOGLOG_WRITE_DOCS) writeFileSync(PATH, text.slice(0, begin) + replayed + text.slice(end));
  else expect(replayed).toBe(text.slice(begin, end));
  for (const { title, bytes } of actual) for (const fact of factsOf(bytes)) expect(title).toContain(fact);
});
