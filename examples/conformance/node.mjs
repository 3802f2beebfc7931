// A node as the suite plays it: a log in memory, which does what docs/PROTOCOL.md says unless a case has it do something else, and which notes
// whatever a client sends that the document does not allow.

import { WebSocketServer } from 'ws';
import * as wire from './wire.mjs';

const { APPEND, READ, SUBSCRIBE, CREDIT, CANCEL, END, INTRODUCE, AUTHENTICATE } = wire.OPCODE;
/** Flags that each request has. */
const FLAGS = { [APPEND]: 1 | 2 | 4, [READ]: 1, [SUBSCRIBE]: 1, [CREDIT]: 0, [CANCEL]: 0, [END]: 1 | 2, [INTRODUCE]: 0, [AUTHENTICATE]: 0 };
const CLUSTER = '69c8a3f63a871ed8726465c8fa82b1a3';

/** The entries of a log, shared by the nodes that the suite plays. */
export class Log {
  start = 0;
  entries = [];
  #watchers = new Set();

  constructor() {
    this.add({ kind: wire.CONTROL_KINDS.state, payload: Buffer.alloc(84) }, { kind: wire.CONTROL_KINDS.noOp, payload: Buffer.alloc(8) });
  }

  get end() {
    return this.entries.at(-1)?.end ?? 0;
  }

  get dataEnd() {
    return this.entries.findLast(({ kind }) => kind === 0)?.end ?? 0;
  }

  /** Adds entries, one after the other. Returns where they are. */
  add(...added) {
    const offset = this.end;
    for (const { term = 1, kind = 0, continued = false, payload } of added) {
      const at = this.end;
      const bytes = wire.stored({ term, kind, continued, payload }, at);
      this.entries.push({ kind, offset: at, end: at + bytes.length, payload, bytes });
    }
    for (const watcher of this.#watchers) watcher();
    return { offset, end: this.end };
  }

  /** Bytes from `offset` on, of whole entries: at least one, and no more than `most` bytes of further ones. */
  bytesFrom(offset, most) {
    const parts = [];
    let size = 0;
    for (const entry of this.entries) {
      if (entry.offset < offset) continue;
      if (size > 0 && size + entry.bytes.length > most) break;
      parts.push(entry.bytes);
      size += entry.bytes.length;
    }
    return Buffer.concat(parts);
  }

  watch(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}

/** One connection of a client. */
export class Connection {
  isIntroduced = false;
  requests = [];
  readings = new Map();
  /** Bytes of appends that have no answer. */
  unansweredBytes = 0;

  constructor(node, socket) {
    this.node = node;
    this.socket = socket;
  }

  send(message, options) {
    this.socket.send(message, options);
  }

  hello() {
    this.send(wire.hello(this.node, this.isIntroduced));
  }

  end(code) {
    if (code === undefined) this.socket.terminate();
    else this.socket.close(code, 'the suite closes it');
  }
}

export class PlayedNode {
  role = 1;
  id = 1;
  term = 1;
  cluster = CLUSTER;
  windowBytes = 4 << 20;
  /** INTRODUCE, and one that nobody knows yet. */
  features = 2 | 0x8000;
  leader = '';
  why = '';
  nodes = [];
  token = undefined;
  /** Whether it lets a token be shown in a header. */
  takesHeaders = true;
  /** What a case does in place of the node, by the name of the request: `false` has the node go on as usual. */
  on = {};
  connections = [];
  faults = [];

  constructor(log = new Log()) {
    this.log = log;
  }

  get start() {
    return this.log.start;
  }

  get commit() {
    return this.log.end;
  }

  get requests() {
    return this.connections.flatMap(({ requests }) => requests);
  }

  async listen() {
    this.server = new WebSocketServer({
      host: '127.0.0.1',
      port: 0,
      handleProtocols: (protocols) => protocols.has('loglog.v1') && 'loglog.v1',
    });
    this.server.on('connection', (socket, { headers }) => this.#connected(socket, headers));
    await new Promise((resolve) => this.server.once('listening', resolve));
    this.url = `ws://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  close() {
    for (const { socket } of this.connections) socket.terminate();
    this.server.close();
  }

  fault(sentence) {
    this.faults.push(sentence);
  }

  #connected(socket, { authorization, 'sec-websocket-protocol': protocols = '' }) {
    const connection = new Connection(this, socket);
    this.connections.push(connection);
    if (!protocols.split(/, */).includes('loglog.v1')) this.fault('the subprotocol loglog.v1 is asked for');
    socket.on('error', ({ message }) => this.fault(`frames are those of RFC 6455: ${message}`));
    socket.on('message', (message, isBinary) => {
      if (!isBinary) this.fault('messages are binary');
      else this.#request(connection, message);
    });
    const shown = this.takesHeaders ? authorization : undefined;
    const isKnown = this.token === undefined || shown === `Bearer ${this.token}`;
    connection.isKnown = isKnown;
    if (this.on.connection?.(connection) === true) return;
    connection.send(isKnown ? wire.hello(this, false) : wire.shortHello());
  }

  #request(connection, message) {
    const request = wire.parseRequest(message);
    if (request === undefined) return this.fault('a request has 24 bytes or more');
    const { opcode, flags, zero, id } = request;
    const name = Object.keys(wire.OPCODE).find((each) => wire.OPCODE[each] === opcode);
    if (zero !== 0) this.fault('bytes 2 and 3 of a request are zero');
    if (id === 0 && opcode !== INTRODUCE) this.fault('no request has the id 0');
    if (name === undefined && !connection.isIntroduced) return this.fault(`opcode ${opcode} is not one of version 1`);
    if (name !== undefined && (flags & ~FLAGS[opcode]) !== 0) this.fault(`${name} has no flags ${flags}`);
    if (!connection.isKnown && opcode !== AUTHENTICATE) this.fault(`a token is shown before ${name}`);
    const isFirst = connection.requests.every((each) => each.opcode === AUTHENTICATE);
    connection.requests.push(request);
    if (opcode === INTRODUCE && !isFirst) this.fault('INTRODUCE is the first request');
    if (opcode === INTRODUCE && (this.features & 2) === 0) this.fault('INTRODUCE is for nodes with feature 2');
    if (name === undefined) return connection.send(wire.error(id, 2));
    const own = this.on[name.toLowerCase()];
    if (own !== undefined && own(request, connection) !== false) return undefined;
    return this[name.toLowerCase()](request, connection);
  }

  introduce({ a, body }, connection) {
    if ((a & 0xffff) !== 1 || a >>> 16 < 1) this.fault('INTRODUCE says which versions the client speaks');
    const size = body.length < 4 ? 0 : body.readUInt16LE(0);
    if (size < 1 || size > 64 || body.length < 4 + size) this.fault('INTRODUCE says what the client is called, in 1 to 64 bytes');
    connection.isIntroduced = true;
    connection.hello();
  }

  authenticate({ id, body }, connection) {
    if (connection.isKnown) this.fault('a token is shown once');
    if (body.toString() === this.token) {
      connection.isKnown = true;
      return connection.hello();
    }
    connection.send(wire.error(id, 21, 1));
    return connection.end(4004);
  }

  append(request, connection) {
    const { flags, id, offset, a, b, body } = request;
    const entries = wire.appended(body);
    if (typeof entries === 'string') return this.fault(entries);
    if (entries.length !== a) this.fault('`a` of an APPEND is the number of its entries');
    if ((flags & 2) === 0 && (offset !== 0 || b !== 0)) this.fault('an APPEND without a condition has no expected end');
    if (this.role !== 1) return connection.send(wire.error(id, 14));
    if ((flags & 2) !== 0 && (this.log.dataEnd > offset || offset > this.log.end))
      return connection.send(wire.error(id, 7, 0, this.log.dataEnd));
    return connection.send(wire.receipts([{ id, term: this.term, ...this.log.add(...entries) }]));
  }

  /** Whether a reading may begin there; otherwise it is told why not. */
  #mayBegin({ id, offset }, connection) {
    const { start, end, entries } = this.log;
    const number = offset < start ? 8 : offset > end ? 9 : offset === end || entries.some((entry) => entry.offset === offset) ? 0 : 10;
    if (number !== 0) connection.send(wire.error(id, number, 0, number === 8 ? start : end));
    return number === 0;
  }

  read({ id, offset, a, b }, connection) {
    if (!this.#mayBegin({ id, offset }, connection)) return;
    const most = a === 0 ? 1 << 20 : a;
    const answer = () => connection.send(wire.data(id, offset, this.commit, this.log.bytesFrom(offset, most)));
    if (offset < this.commit || b === 0) return void answer();
    const stop = this.log.watch(() => done());
    const timer = setTimeout(() => done(), Math.min(b, 60_000));
    const done = () => {
      clearTimeout(timer);
      stop();
      answer();
    };
  }

  subscribe({ id, offset, a }, connection) {
    if (connection.readings.has(id)) this.fault('the id of a SUBSCRIBE is not one that is open');
    if (!this.#mayBegin({ id, offset }, connection)) return;
    const reading = { offset, credit: Math.min(a, 2 ** 31 - 1), granted: a };
    reading.go = () => {
      while (reading.credit > 0 && reading.offset < this.commit) {
        const body = this.log.bytesFrom(reading.offset, Math.min(reading.credit, this.mostData ?? 1 << 20));
        // A case has shortened the last one.
        if (body.length === 0) break;
        connection.send(wire.data(id, reading.offset, this.commit, body));
        reading.offset += body.length;
        reading.credit -= body.length;
      }
    };
    reading.stop = this.log.watch(reading.go);
    connection.readings.set(id, reading);
    reading.go();
  }

  credit({ id, a }, connection) {
    const reading = connection.readings.get(id);
    if (reading === undefined) return;
    reading.credit = Math.min(reading.credit + a, 2 ** 31 - 1);
    reading.granted += a;
    reading.go();
  }

  cancel({ id }, connection) {
    connection.readings.get(id)?.stop();
    connection.readings.delete(id);
    connection.send(wire.cancelled(id));
  }

  end({ id, flags, offset, b }, connection) {
    if ((flags & 2) === 0 && (offset !== 0 || b !== 0)) this.fault('an END without AT_LEAST has no offset');
    if ((flags & 2) !== 0 && offset > this.commit) connection.send(wire.error(id, 17, 0, this.commit));
    else connection.send(wire.ended(id, this.start, this.commit, this.term));
  }
}
