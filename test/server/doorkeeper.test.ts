// Who comes in, at both acceptors, in this process: what strangers are told, and what becomes of those whose token ends.

import { createHash } from 'node:crypto';
import { get, type IncomingMessage } from 'node:http';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { NO_QUOTAS, SCOPES, type TokenRecord } from '../../src/core/access.ts';
import { MAX_STRANGERS } from '../../src/core/accessLimits.ts';
import { type Answer, decodeAnswer } from '../../src/protocol/answers.ts';
import {
  AUTHENTICATE,
  CLOSE_TOKEN_ENDED,
  CLOSE_UNAUTHENTICATED,
  END,
  encodeAuthenticate,
  requestMessage,
  SUBPROTOCOL,
  TRIM,
  TRIM_DRY_RUN,
} from '../../src/protocol/client.ts';
import { type TokenDoor as Door, openDoor } from '../contract/tokenDoor.ts';
import { TestTokens } from '../support/access.ts';
import { eventually } from './support/fixture.ts';
import { RawClient } from './support/rawClient.ts';

const ACCEPTORS = ['uws', 'ws'] as const;

const shown = (token: string): { headers: Record<string, string> } => ({ headers: { authorization: `Bearer ${token}` } });

/** A WebSocket by hand, all that it was told, and how it ended. */
class Visitor {
  readonly socket: WebSocket;
  readonly messages: Buffer[] = [];
  readonly closed: Promise<number>;
  readonly opened: Promise<void>;

  constructor({ server }: Door, options: WebSocket.ClientOptions = {}) {
    this.socket = new WebSocket(server.url, SUBPROTOCOL, options);
    onTestFinished(() => this.socket.terminate());
    this.socket.on('message', (data: Buffer) => void this.messages.push(data));
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => this.socket.on('close', resolve));
    this.opened = new Promise((resolve) => this.socket.on('open', resolve));
  }

  async told(count: number): Promise<Answer[]> {
    await eventually(() => this.messages.length >= count, `${count} messages have come`);
    return this.messages.map((message) => decodeAnswer(message));
  }

  /** Shows a token in a message, and waits for what comes of it. */
  async show(token: string): Promise<Answer | undefined> {
    await this.told(1);
    this.socket.send(encodeAuthenticate(7, token));
    return (await this.told(2))[1];
  }
}

/** HTTP status that refuses a WebSocket, and the body with it. */
function refused({ server }: Door, options: WebSocket.ClientOptions): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(server.url, SUBPROTOCOL, options);
    socket.on('unexpected-response', (_, response) => {
      let body = '';
      response.on('data', (chunk) => (body += String(chunk)));
      response.on('end', () => resolve([response.statusCode ?? 0, body]));
    });
    socket.on('open', () => reject(new Error('it was let in')));
    socket.on('error', () => undefined);
  });
}

/** A download over HTTP by hand, as far as it has come. */
class Download {
  readonly length: number;
  bytes = 0;
  isOver = false;
  readonly over: Promise<void>;
  readonly #response: IncomingMessage;

  /** Resolves when the head of the answer has come. */
  static begin(url: string, token: string): Promise<Download> {
    return new Promise((resolve, reject) => {
      const asked = get(url, { agent: false, ...shown(token) }, (response) => resolve(new Download(response)));
      asked.on('error', reject);
    });
  }

  private constructor(response: IncomingMessage) {
    expect(response.statusCode).toBe(200);
    this.#response = response;
    this.length = Number(response.headers['content-length']);
    response.on('data', (part: Buffer) => {
      this.bytes += part.length;
    });
    // It is cut: that is no error here.
    response.on('error', () => undefined);
    this.over = new Promise((resolve) => {
      response.on('close', () => {
        this.isOver = true;
        resolve();
      });
    });
    onTestFinished(() => this.stop());
  }

  stop(): void {
    this.#response.destroy();
  }
}

describe.each(ACCEPTORS)('by %s', (acceptor) => {
  let door: Door;

  beforeAll(async () => {
    let end = (): Promise<void> => Promise.resolve();
    door = await openDoor({ acceptor }, (ending) => {
      end = ending;
    });
    return () => end();
  });

  test('E124: /history says what was refused and closed, and not to whom: that is in the log alone', async () => {
    const token = door.tokens.make({ name: 'payroll', scopes: SCOPES.read });
    const visitor = new Visitor(door, shown(token));
    await visitor.told(1);
    visitor.socket.send(requestMessage(TRIM, TRIM_DRY_RUN, 8, 0));
    expect((await visitor.told(2))[1]).toMatchObject({ kind: 'error', code: 'FORBIDDEN', requestId: 8 });
    visitor.socket.send('no binary message');
    await visitor.closed;
    for (const what of [/ was refused with FORBIDDEN: /, / got a fatal error, and was closed: /])
      expect(door.warnings.find((line) => what.test(line))).toContain(' from 127.0.0.1, ');
    const metrics = shown(door.tokens.make({ scopes: SCOPES.metrics }));
    const answer = await (await fetch(`${door.http}/history`, metrics)).text();
    const texts = (JSON.parse(answer) as { events: { text: string }[] }).events.map(({ text }) => text);
    expect(texts).toContain('a request was refused with FORBIDDEN');
    expect(texts).toContain('a connection got a fatal error, and was closed');
    for (const who of ['from 127.0.0.1', 'payroll', ...door.tokens.records.keys()])
      expect([who, answer.includes(who)]).toEqual([who, false]);
  });

  test('a stranger is told the version, and nothing else', async () => {
    const visitor = new Visitor(door);
    expect((await visitor.told(1))[0]).toEqual({ kind: 'authenticationNeeded', protocolVersion: 1, lowestVersion: 1 });
    expect(visitor.messages[0]?.toString('hex')).toBe(`81020100${'00'.repeat(4)}0100${'00'.repeat(14)}`);
    visitor.socket.send(requestMessage(END, 0, 5));
    const [, error] = await visitor.told(2);
    expect(error).toMatchObject({ kind: 'error', code: 'UNAUTHENTICATED', requestId: 5, fatal: true });
    expect(await visitor.closed).toBe(CLOSE_UNAUTHENTICATED);
    for (const page of ['/x', '/status', '/history', '/metrics', '/log/x/segments', '/log/']) {
      for (const method of ['GET', 'HEAD', 'POST']) {
        const answer = await fetch(`${door.http}${page}`, { method });
        expect([page, method, answer.status, await answer.text()]).toEqual([page, method, 401, '']);
        expect(answer.headers.get('www-authenticate')).toBe('Bearer');
      }
    }
    expect(await (await fetch(`${door.http}/healthz`)).text()).toBe('ok\n');
    expect(await (await fetch(`${door.http}/readyz`)).text()).toBe('ready\n');
  });

  test('whatever is no token, or none that holds, is refused in the same words', async () => {
    const good = door.tokens.make();
    const expired = door.tokens.make({ expiresMs: Date.now() - 1 });
    const gone = door.tokens.make();
    door.tokens.revoke(gone);
    const words = new Set<string>();
    for (const token of [`${good.slice(0, -1)}${good.endsWith('0') ? '1' : '0'}`, 'x', gone]) {
      const visitor = new Visitor(door);
      const answer = await visitor.show(token);
      expect(answer).toMatchObject({ kind: 'error', code: 'UNAUTHENTICATED', requestId: 7, fatal: true });
      if (answer?.kind === 'error') words.add(answer.message);
      expect(await visitor.closed).toBe(CLOSE_UNAUTHENTICATED);
    }
    expect(words.size).toBe(1);
    expect(await new Visitor(door).show(expired)).toMatchObject({ kind: 'error', code: 'TOKEN_EXPIRED', fatal: true });
    for (const header of ['Bearer x', `Basic ${good}`, 'Bearer', good]) {
      expect(await refused(door, { headers: { authorization: header } })).toEqual([401, '']);
    }
    const big = new Visitor(door);
    await big.told(1);
    big.socket.send(Buffer.concat([requestMessage(AUTHENTICATE, 0, 1), Buffer.alloc(300, 'x')]));
    expect((await big.told(2))[1]).toMatchObject({ code: 'UNAUTHENTICATED' });
    // The header or the message: both say the same of the log.
    const visitor = new Visitor(door);
    expect(await visitor.show(good)).toMatchObject({ kind: 'hello', hello: { clusterId: door.server.engine.identity.clusterId } });
    expect((await new Visitor(door, shown(good)).told(1))[0]?.kind).toBe('hello');
    // One line, whoever tries, and never what was shown.
    expect(door.warnings.filter((line) => line.includes('did not show who it is'))).toHaveLength(1);
    expect(door.warnings.join()).not.toContain('loglog_');
  });

  test('a token that was made a moment ago is looked for once more; while no leader is heard nobody comes in', async () => {
    const token = door.tokens.make();
    const records = new Map(door.tokens.records);
    door.tokens.records.clear();
    const early = new Visitor(door, shown(token));
    await early.opened;
    for (const [id, record] of records) door.tokens.records.set(id, record);
    expect((await early.told(1))[0]?.kind).toBe('hello');
    door.tokens.isSettled = false;
    expect((await new Visitor(door, shown(token)).told(1))[0]).toMatchObject({ kind: 'error', code: 'NOT_LEADER', fatal: true });
    expect(await new Visitor(door).show(token)).toMatchObject({ kind: 'error', code: 'NOT_LEADER', fatal: true });
    expect((await fetch(`${door.http}/status`, shown(token))).status).toBe(503);
    // Who is there stays.
    early.socket.send(requestMessage(END, 0, 3));
    expect((await early.told(2))[1]?.kind).toBe('ended');
    door.tokens.isSettled = true;
  });

  test('a revocation ends what stands on the token, within a second, and appends keep true outcomes', async () => {
    const token = door.tokens.make();
    const other = await RawClient.connect(door.server.url, shown(door.tokens.make()));
    onTestFinished(() => other.terminate());
    const client = await RawClient.connect(door.server.url, shown(token));
    onTestFinished(() => client.terminate());
    const subscription = client.subscribe(0, 1 << 20);
    const outcomes = new Map<string, Promise<string>>();
    let isOver = false;
    let sent = 0;
    const pump = async (): Promise<void> => {
      while (!isOver && sent < 20_000) {
        for (let i = 0; i < 20; i++) {
          const payload = `entry ${sent++}`;
          outcomes.set(
            payload,
            client.append(Buffer.from(payload)).then(
              () => 'done',
              (thrown: { answer?: { code: string } }) => thrown.answer?.code ?? 'unknown',
            ),
          );
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const pumping = pump();
    await eventually(() => subscription.entries.length > 100 || sent > 1000, 'it is under way');
    const revokedMs = performance.now();
    door.tokens.revoke(token);
    const { code } = await client.closed;
    isOver = true;
    await pumping;
    expect(code).toBe(CLOSE_TOKEN_ENDED);
    expect(performance.now() - revokedMs).toBeLessThan(5_000);
    expect(client.errors.at(-1)).toMatchObject({ code: 'TOKEN_REVOKED', requestId: 0, fatal: true });
    const { commit } = await other.end();
    const there = new Set((await other.readAll(0, commit)).map(({ payload }) => Buffer.from(payload).toString()));
    let done = 0;
    for (const [payload, outcome] of outcomes) {
      const what = await outcome;
      if (what === 'done') done += 1;
      if (what === 'done') expect(there).toContain(payload);
      else if (what !== 'unknown') expect([what, there.has(payload)]).toEqual(['TOKEN_REVOKED', false]);
    }
    expect(done).toBeGreaterThan(0);
    // The other one was let alone, and nobody comes in by the old one.
    await other.append(Buffer.from('more'));
    expect(await new Visitor(door).show(token)).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  test('a token that expires ends what stands on it, a download among it', async () => {
    const writer = await RawClient.connect(door.server.url, shown(door.tokens.make()));
    onTestFinished(() => writer.terminate());
    for (let i = 0; i < 8; i++) await writer.append(Buffer.alloc(200_000, i));
    const { clusterId } = door.server.engine.identity;
    const token = door.tokens.make({ scopes: SCOPES.read, expiresMs: Date.now() + 1_500 });
    const visitor = new Visitor(door, shown(token));
    await visitor.told(1);
    const list = async (): Promise<{ segments: { url: string }[] }> =>
      (await fetch(`${door.http}/log/${clusterId}/segments`, shown(token))).json() as Promise<{ segments: { url: string }[] }>;
    const [first] = (await list()).segments;
    const other = shown(door.tokens.make({ scopes: SCOPES.read })).headers;
    // No cache on the way may keep it for others, who show nothing.
    for (const headers of [{}, { range: 'bytes=0-9' }, { 'if-none-match': '*' }]) {
      const answer = await fetch(`${door.http}${first?.url}`, { headers: { ...other, ...headers } });
      expect(answer.headers.get('cache-control')).toBe('private, max-age=31536000, immutable, no-transform');
      await answer.body?.cancel();
    }
    expect(await visitor.closed).toBe(CLOSE_TOKEN_ENDED);
    expect((await visitor.told(2)).at(-1)).toMatchObject({ code: 'TOKEN_EXPIRED', requestId: 0, fatal: true });
    expect((await fetch(`${door.http}/status`, shown(token))).status).toBe(401);
  });

  test('a download that is under way is cut when its token is revoked, or expires, and no other is', async () => {
    const door = await openDoor({ acceptor, segmentBytes: 1 << 20 });
    const writer = await RawClient.connect(door.server.url, shown(door.tokens.make()));
    onTestFinished(() => writer.terminate());
    for (let i = 0; i < 8; i++) await writer.append(Buffer.alloc(200_000, i));
    const all = shown(door.tokens.make({ scopes: SCOPES.read })).headers;
    const { clusterId } = door.server.engine.identity;
    const { segments } = (await (await fetch(`${door.http}/log/${clusterId}/segments`, { headers: all })).json()) as {
      segments: { url: string }[];
    };
    const url = `${door.http}${segments[0]?.url}`;
    // So slow that they have minutes to go.
    const quotas = { ...NO_QUOTAS, bytesOutPerSecond: 4_000 };
    let nowMs = 1;
    door.tokens.hasExpired = ({ expiresMs }) => expiresMs !== 0 && expiresMs <= nowMs;
    const slow = (fields: Partial<TokenRecord> = {}): string => door.tokens.make({ scopes: SCOPES.read, quotas, ...fields });
    const revoked = slow();
    const others = [slow({ expiresMs: 2 }), slow()];
    const downloads = await Promise.all([revoked, ...others].map((token) => Download.begin(url, token)));
    const [first, second, third] = downloads;
    await eventually(() => downloads.every(({ bytes }) => bytes > 0), 'all are under way');
    door.tokens.revoke(revoked);
    await first?.over;
    expect([second?.isOver, third?.isOver]).toEqual([false, false]);
    nowMs = 2;
    await second?.over;
    for (const download of [first, second]) expect(download?.bytes).toBeLessThan(download?.length ?? 0);
    await eventually(() => door.server.downloads.count === 1, 'the other one goes on');
    expect(third?.isOver).toBe(false);
    third?.stop();
    await eventually(() => door.server.downloads.count === 0, 'nothing of them is left');
  });

  test('who changes what others rely on is told, and counted', async () => {
    const trimmer = await RawClient.connect(
      door.server.url,
      shown(door.tokens.make({ scopes: SCOPES.trim | SCOPES.metrics, name: 'night job' })),
    );
    onTestFinished(() => trimmer.terminate());
    const before = door.audited.length;
    trimmer.request(TRIM, 50, { flags: TRIM_DRY_RUN, offset: 0 });
    trimmer.request(TRIM, 51, { offset: 0 });
    trimmer.request(TRIM, 52, { offset: 2 ** 50 });
    expect((await trimmer.errorOf(52)).code).toBe('OFFSET_BEYOND_END');
    await eventually(() => door.audited.length >= before + 2, 'it is told');
    const told = door.audited.slice(before).map(({ what, by, name, detail, outcome }) => [what, by, name, detail, outcome]);
    expect(told.toSorted()).toEqual([
      ['trim', 'token', 'night job', 'to offset 0', 'done'],
      ['trim', 'token', 'night job', `to offset ${2 ** 50}`, 'refused with OFFSET_BEYOND_END'],
    ]);
    expect(door.audited.at(-1)?.from).toBe('from 127.0.0.1');
    const metrics = await (await fetch(`${door.http}/metrics`, shown(door.tokens.make()))).text();
    expect(metrics).toMatch(/^loglog_changes_refused_total\{what="trim"\} 1$/m);
    expect(metrics).toMatch(/^loglog_authentications_total\{result="accepted"\} [1-9]/m);
  });

  test('a stranger that shows nothing is told so after a while, and goes', async () => {
    const door = await openDoor({ acceptor }, onTestFinished, 100);
    const known = new Visitor(door, shown(door.tokens.make()));
    expect((await known.told(1))[0]?.kind).toBe('hello');
    const silent = new Visitor(door);
    expect(await silent.closed).toBe(CLOSE_UNAUTHENTICATED);
    expect((await silent.told(2))[1]).toMatchObject({ kind: 'error', code: 'UNAUTHENTICATED', fatal: true });
    expect(known.socket.readyState).toBe(WebSocket.OPEN);
  });

  test('strangers take no place of those who were let in', async () => {
    const door = await openDoor({ acceptor, maxConnections: 2 });
    const token = door.tokens.make();
    // From another address than the crowd, which comes after it.
    const slow = new Visitor(door);
    await slow.opened;
    const strangers = Array.from({ length: MAX_STRANGERS + 5 }, () => new Visitor(door, { localAddress: '127.0.0.2' }));
    await Promise.all(strangers.map(({ opened }) => opened));
    await eventually(() => strangers.filter(({ socket }) => socket.readyState === WebSocket.CLOSED).length >= 5, 'the oldest have gone');
    const first = new Visitor(door, shown(token));
    expect((await first.told(1))[0]?.kind).toBe('hello');
    // A stranger is heard, although others came and came.
    const left = strangers.filter(({ socket }) => socket.readyState === WebSocket.OPEN);
    expect(left).toHaveLength(MAX_STRANGERS - 1);
    expect((await slow.show(token))?.kind).toBe('hello');
    expect(door.server.connections).toBe(2);
    expect(await refused(door, shown(token))).toEqual([503, '']);
    expect(await new Visitor(door).show(token)).toMatchObject({ kind: 'error', code: 'OVERLOADED', fatal: true });
  });
});

test('what is no token is looked for nowhere', async () => {
  const tokens = new TestTokens();
  const { Doorkeeper } = await import('../../src/server/doorkeeper.ts');
  const { TEST_LOOP } = await import('../support/loop.ts');
  const keeper = new Doorkeeper(true, tokens, TEST_LOOP);
  const good = tokens.make();
  for (let i = 0; i < 20_000; i++) {
    const text = createHash('sha256').update(String(i)).digest('hex');
    expect(keeper.identify(good.slice(0, 30) + text.slice(0, good.length - 30))).toBe('malformed');
  }
  expect(tokens.lookups).toBe(0);
});

test('a body whose token ends frees what it reads from and ends its connection, whether anybody takes it or not', async () => {
  const tokens = new TestTokens();
  const { Doorkeeper, HeldBody } = await import('../../src/server/doorkeeper.ts');
  const { TEST_LOOP } = await import('../support/loop.ts');
  const keeper = new Doorkeeper(true, tokens, TEST_LOOP);
  onTestFinished(() => keeper.stop());
  const token = tokens.make();
  const identity = keeper.identify(token);
  if (typeof identity === 'string') throw new TypeError(identity);
  const happened: string[] = [];
  const inner = {
    bytes: 10,
    begin: () => undefined,
    // It never comes.
    next: () => new Promise<undefined>(() => undefined),
    failed: () => ({ status: 503, type: 'text/plain', body: '' }) as const,
    end: () => void happened.push('ended'),
  };
  const body = new HeldBody(keeper, identity, inner, []);
  body.begin(() => void happened.push('cut'));
  void body.next();
  tokens.make();
  expect(happened).toEqual([]);
  tokens.revoke(token);
  expect(happened).toEqual(['ended', 'cut']);
  tokens.make();
  expect(happened).toHaveLength(2);
});
