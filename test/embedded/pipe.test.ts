// The connection inside the process: in which order, and when, its client is given what a session sends, whatever the client does meanwhile.

import { expect, onTestFinished, test } from 'vitest';
import type { Transport } from '../../src/client/nodes/transport.ts';
import { openPipe } from '../../src/embedded/pipe.ts';
import { Incidents } from '../../src/server/incidents.ts';
import { SendBudget } from '../../src/server/sendBudget.ts';
import { Session } from '../../src/server/session.ts';

interface Side {
  readonly transport: Transport;
  readonly session: Session;
  /** What the client was given, and how the connection ended for it. */
  readonly got: string[];
  /** What the node's side was told. */
  readonly told: string[];
}

/** A session that answers a message with what `answer` sends, at the other end of a pipe whose client does `take` with each message. */
function makePipe(
  answer: (session: Session, text: string) => void,
  take: (text: string, side: Side) => void = () => undefined,
  drained: (session: Session) => void = () => undefined,
): Side {
  const got: string[] = [];
  const told: string[] = [];
  let session: Session | undefined;
  const transport = openPipe(
    {
      admit: (socket) => {
        session = new Session(socket, new SendBudget(), new Incidents(() => undefined));
        return session;
      },
      opened: (opened) => opened.send(Buffer.from('hello')),
      message: (to, message) => answer(to, Buffer.from(message).toString()),
      drained,
      looked: () => undefined,
      closed: () => told.push('closed'),
      broke: (thrown) => told.push(`broke: ${String(thrown)}`),
    },
    {
      message: (bytes) => {
        const text = bytes.length > 100 ? `${bytes.length} bytes` : Buffer.from(bytes).toString();
        got.push(text);
        take(text, side);
      },
      closed: (reason, code) => got.push(`${code}: ${reason}`),
    },
  );
  if (session === undefined) throw new Error('a pipe begins with its session');
  const side: Side = { transport, session, got, told };
  return side;
}

const echo = (session: Session, text: string): void => {
  session.send(Buffer.from(`${text} 1`));
  session.send(Buffer.from(`${text} 2`));
};

/** More than go to and fro before a timer gets its turn. */
const MANY = 100_000;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await turn();
};

test('what the session sends comes in its order, never within its own call, and what answers it not in the same turn', async () => {
  let isInCall = false;
  const side = makePipe(
    (session, text) => {
      isInCall = true;
      echo(session, text);
      isInCall = false;
    },
    (text) => {
      expect(isInCall).toBe(false);
      if (text === 'a 2') side.transport.send(Buffer.from('c'));
    },
  );
  side.transport.send(Buffer.from('a'));
  side.transport.send(Buffer.from('b'));
  expect(side.got).toEqual([]);
  await Promise.resolve();
  expect(side.got).toEqual(['hello', 'a 1', 'a 2', 'b 1', 'b 2']);
  await turns(2);
  expect(side.got.slice(5)).toEqual(['c 1', 'c 2']);
});

test('a client and a node that only answer each other leave the loop to others', async () => {
  let rounds = 0;
  const side = makePipe(
    (session) => session.send(Buffer.from('again')),
    () => {
      rounds += 1;
      if (rounds < MANY) side.transport.send(Buffer.from('x'));
    },
  );
  // Timers and immediates have their turn between the rounds, however few of those a busy machine lets be.
  while (rounds < 2) await new Promise<void>((resolve) => setTimeout(resolve, 1));
  expect(rounds).toBeLessThan(MANY);
  side.transport.terminate();
});

test("the bytes that come are the client's own: the session writes over its memory", async () => {
  const memory = Buffer.from('first');
  const side = makePipe((session) => {
    session.send(memory);
    memory.write('other');
  });
  side.transport.send(Buffer.from('x'));
  await turn();
  expect(side.got).toEqual(['hello', 'first']);
});

test("a callback that throws is the program's affair: nothing is lost, and the node hears nothing of it", async () => {
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  const thrown: unknown[] = [];
  process.on('uncaughtException', (error) => thrown.push(error.message));
  onTestFinished(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  });
  const side = makePipe(echo, (text) => {
    if (text === 'hello' || text === 'a 1') throw new Error(`no ${text}`);
  });
  side.transport.send(Buffer.from('a'));
  side.transport.send(Buffer.from('b'));
  await turns(5);
  expect(side.got).toEqual(['hello', 'a 1', 'a 2', 'b 1', 'b 2']);
  expect([thrown, side.told]).toEqual([['no hello', 'no a 1'], []]);
});

test.each([
  ['terminate', '0: this client ended it'],
  ['close', '1000: it was closed with code 1000'],
] as const)('%s in the middle of a delivery ends it there: once, and for both sides', async (way, reason) => {
  const side = makePipe(echo, (text) => {
    if (text === 'a 1') side.transport[way]();
  });
  side.transport.send(Buffer.from('a'));
  await turns(3);
  side.transport.send(Buffer.from('b'));
  side.transport.close();
  side.transport.terminate();
  await turns(3);
  expect([side.got, side.told]).toEqual([['hello', 'a 1', reason], ['closed']]);
});

test('what the node ends comes after what it had sent', async () => {
  const side = makePipe((session, text) => {
    echo(session, text);
    session.end(4001, 'bye');
    echo(session, 'late');
  });
  side.transport.send(Buffer.from('a'));
  await turns(3);
  expect([side.got, side.told]).toEqual([['hello', 'a 1', 'a 2', '4001: it was closed with code 4001 (bye)'], ['closed']]);
});

test('entries that the client was not given yet count as unread: a reading fills its room, and goes on when they have gone', async () => {
  const entries = new Uint8Array(64 * 1024);
  let largest = 0;
  let sent = 0;
  const fill = (session: Session): void => {
    while (sent < 400 && session.dataRoom > 0 && session.admits(entries.length)) {
      session.sendData(1, 0, 0, entries);
      sent += 1;
    }
    largest = Math.max(largest, sent - side.got.length + 1);
  };
  const side = makePipe(fill, () => undefined, fill);
  side.transport.send(Buffer.from('read'));
  expect(sent).toBeLessThan(200);
  for (let i = 0; i < 1000 && side.got.length < 401; i++) await turn();
  expect(side.got).toHaveLength(401);
  expect(largest).toBeLessThan(200);
});
