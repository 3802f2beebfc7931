// A node as the suite plays it: a log in memory, which does what docs/PROTOCOL.md says unless a case has it do something else, and which notes
// whatever a client sends that the document does not allow.

import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { bytesBefore, takeAppend } from './appends.mjs';
import { GENERATION, Log } from './log.mjs';
import { serveSegments } from './segments.mjs';
import { SERVICES } from './services.mjs';
import * as wire from './wire.mjs';

const { APPEND, INTRODUCE, AUTHENTICATE } = wire.OPCODE;
/** Appends that a connection may have unanswered, whatever their size. */
const MOST_UNANSWERED = 8192;
const FEATURE = { introduce: 2, uploads: 4, uploadsHelp: 8, times: 16, consumers: 128, sessions: 256 };
const CLUSTER = '69c8a3f63a871ed8726465c8fa82b1a3';

/** Flags that a request may have, by the features of the node. */
function flagsOf(name, features) {
  const has = (feature, flags) => ((features & feature) === 0 ? 0 : flags);
  const flags = {
    APPEND: 1 | 2 | 4 | has(FEATURE.uploads | FEATURE.uploadsHelp, 8) | has(FEATURE.sessions, 16),
    READ: has(FEATURE.times, 1),
    SUBSCRIBE: has(FEATURE.times, 1) | 2,
    END: 1 | 2,
    TRIM: 1,
    RETENTION: 1 | 2 | has(FEATURE.consumers, 4 | 8),
    UPGRADE: 1,
    TRANSFER: 1,
    MEMBERS: 1,
  };
  return flags[name] ?? 0;
}

/** One connection of a client. */
export class Connection {
  isIntroduced = false;
  /** Those that its INTRODUCE says. */
  features = 0;
  requests = [];
  readings = new Map();
  /** The newest chain, and the upload that is under way. */
  chain = undefined;
  upload = undefined;
  /** Bytes of the appends that have no answer yet, by their ids. */
  unanswered = new Map();

  constructor(node, socket) {
    this.node = node;
    this.socket = socket;
  }

  send(message, options) {
    for (const id of wire.answeredBy(message)) this.unanswered.delete(id);
    this.socket.send(message, options);
  }

  /** An append has come. Returns whether it is within the window. */
  takes({ id, flags, body }) {
    const bytes = body.length - bytesBefore(flags);
    const sum = [...this.unanswered.values()].reduce((all, one) => all + one, bytes);
    this.unanswered.set(id, bytes);
    return this.unanswered.size === 1 || (sum <= this.node.windowBytes && this.unanswered.size <= MOST_UNANSWERED);
  }

  hello() {
    this.send(wire.hello(this.node, this.isIntroduced, this.features));
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
  generation = GENERATION;
  windowBytes = 4 << 20;
  /** INTRODUCE, and one that nobody knows yet. */
  features = FEATURE.introduce | 0x8000;
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
  /** The set of the log's nodes, as MEMBERS lists it. */
  members = [];
  /** Paths that were asked for over HTTP. */
  paths = [];

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
    this.server = createServer((request, response) => serveSegments(this, request, response));
    const sockets = new WebSocketServer({ server: this.server, handleProtocols: (protocols) => protocols.has('loglog.v1') && 'loglog.v1' });
    sockets.on('connection', (socket, { headers }) => this.#connected(socket, headers));
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `ws://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  close() {
    for (const { socket } of this.connections) socket.terminate();
    this.server.close();
    this.server.closeAllConnections();
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
    connection.send(isKnown ? wire.hello(this, false, 0) : wire.shortHello());
  }

  #request(connection, message) {
    const request = wire.parseRequest(message);
    if (request === undefined) return this.fault('a request has 24 bytes or more');
    const { opcode, flags, zero, id } = request;
    const name = Object.keys(wire.OPCODE).find((each) => wire.OPCODE[each] === opcode);
    if (zero !== 0) this.fault('bytes 2 and 3 of a request are zero');
    if (id === 0 && opcode !== INTRODUCE) this.fault('no request has the id 0');
    if (name === undefined && !connection.isIntroduced) return this.fault(`opcode ${opcode} is not one of version 1`);
    if (name !== undefined && (flags & ~flagsOf(name, this.features)) !== 0) this.fault(`${name} has no flags ${flags}`);
    if (!connection.isKnown && opcode !== AUTHENTICATE) this.fault(`a token is shown before ${name}`);
    const isFirst = connection.requests.every((each) => each.opcode === AUTHENTICATE);
    connection.requests.push(request);
    if (opcode === INTRODUCE && !isFirst) this.fault('INTRODUCE is the first request');
    if (opcode === INTRODUCE && (this.features & 2) === 0) this.fault('INTRODUCE is for nodes with feature 2');
    if (opcode === APPEND && !connection.takes(request)) this.fault('the bytes of appends without an answer are within the window');
    if (name === undefined) return connection.send(wire.error(id, 2));
    const own = this.on[name.toLowerCase()];
    if (own !== undefined && own(request, connection) !== false) return undefined;
    const service = SERVICES[name.toLowerCase()];
    return service === undefined ? this[name.toLowerCase()](request, connection) : service(this, request, connection);
  }

  introduce({ a, b, body }, connection) {
    if ((a & 0xffff) !== 1 || a >>> 16 < 1) this.fault('INTRODUCE says which versions the client speaks');
    const size = body.length < 4 ? 0 : body.readUInt16LE(0);
    if (size < 1 || size > 64 || body.length < 4 + size) this.fault('INTRODUCE says what the client is called, in 1 to 64 bytes');
    connection.isIntroduced = true;
    connection.features = b;
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
    return takeAppend(this, request, connection);
  }

  /** Whether a reading may begin there; otherwise it is told why not. */
  #mayBegin({ id, offset }, connection, start = this.log.start) {
    const { end, entries } = this.log;
    const number = offset < start ? 8 : offset > end ? 9 : offset === end || entries.some((entry) => entry.offset === offset) ? 0 : 10;
    if (number !== 0) connection.send(wire.error(id, number, 0, number === 8 ? start : end));
    return number === 0;
  }

  /** DATA from `offset` on; with TIMED it says the log's time there. */
  #data(id, offset, body, isTimed) {
    return wire.data(id, offset, this.commit, body, isTimed ? 2 : 0, this.log.timeBefore(offset));
  }

  read({ id, flags, offset, a, b }, connection) {
    if (!this.#mayBegin({ id, offset }, connection)) return;
    const most = a === 0 ? 1 << 20 : a;
    const answer = () => connection.send(this.#data(id, offset, this.log.bytesFrom(offset, most), (flags & 1) !== 0));
    if (offset < this.commit || b === 0) return void answer();
    const stop = this.log.watch(() => done());
    const timer = setTimeout(() => done(), Math.min(b, 60_000));
    const done = () => {
      clearTimeout(timer);
      stop();
      answer();
    };
  }

  subscribe({ id, flags, offset, a }, connection) {
    if (connection.readings.has(id)) this.fault('the id of a SUBSCRIBE is not one that is open');
    // With KEPT all that the node has on its disk.
    if (!this.#mayBegin({ id, offset }, connection, (flags & 2) === 0 ? this.log.start : this.log.first)) return;
    const reading = { offset, credit: Math.min(a, 2 ** 31 - 1), granted: a, isTimed: (flags & 3) === 1 };
    reading.go = () => {
      while (reading.credit > 0 && reading.offset < this.commit) {
        const body = this.log.bytesFrom(reading.offset, Math.min(reading.credit, this.mostData ?? 1 << 20));
        // A case has shortened the last one.
        if (body.length === 0) break;
        connection.send(this.#data(id, reading.offset, body, reading.isTimed));
        reading.isTimed = false;
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
