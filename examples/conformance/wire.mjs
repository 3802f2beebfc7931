// The bytes of docs/PROTOCOL.md, from the side of a node: requests are read, and answers are made. It shares no code with LogLog.

export const OPCODE = {
  APPEND: 1,
  READ: 2,
  SUBSCRIBE: 3,
  CREDIT: 4,
  CANCEL: 5,
  END: 6,
  INTRODUCE: 7,
  UPLOAD: 8,
  AUTHENTICATE: 9,
  TRIM: 10,
  FIND: 11,
  RETENTION: 12,
  UPGRADE: 13,
  TOKENS: 14,
  CONSUMERS: 15,
  TRANSFER: 18,
  OPEN_SESSION: 19,
  MEMBERS: 20,
};
export const CONTROL_KINDS = { noOp: 1, trim: 3, time: 4, state: 6, newest: 63 };

const MASK = (1n << 64n) - 1n;
const [P1, P2, P3, P4, P5] = [0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n];
const rotate = (x, n) => ((x << n) | (x >> (64n - n))) & MASK;
const round = (acc, lane) => (rotate((acc + lane * P2) & MASK, 31n) * P1) & MASK;

/** XXH64 with seed 0. */
export function xxh64(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  let h = P5;
  if (bytes.length >= 32) {
    let lanes = [(P1 + P2) & MASK, P2, 0n, (0n - P1) & MASK];
    for (; at + 32 <= bytes.length; at += 32) lanes = lanes.map((acc, i) => round(acc, view.getBigUint64(at + 8 * i, true)));
    h = lanes.reduce((sum, acc, i) => sum + rotate(acc, [1n, 7n, 12n, 18n][i]), 0n) & MASK;
    for (const acc of lanes) h = ((h ^ round(0n, acc)) * P1 + P4) & MASK;
  }
  h = (h + BigInt(bytes.length)) & MASK;
  for (; at + 8 <= bytes.length; at += 8) h = (rotate(h ^ round(0n, view.getBigUint64(at, true)), 27n) * P1 + P4) & MASK;
  for (; at + 4 <= bytes.length; at += 4) h = (rotate(h ^ ((BigInt(view.getUint32(at, true)) * P1) & MASK), 23n) * P2 + P3) & MASK;
  for (; at < bytes.length; at += 1) h = (rotate(h ^ ((BigInt(bytes[at]) * P5) & MASK), 11n) * P1) & MASK;
  h = ((h ^ (h >> 33n)) * P2) & MASK;
  h = ((h ^ (h >> 29n)) * P3) & MASK;
  return h ^ (h >> 32n);
}

const low32 = (x) => Number(x & 0xffffffffn);
const place = (term, offset) => low32((((BigInt(offset) ^ ((BigInt(term) * P1) & MASK)) * P2) & MASK) >> 32n);

/** An entry as it is stored at `offset`. */
export function stored({ term = 1, kind = 0, continued = false, payload }, offset) {
  const bytes = Buffer.alloc(12 + payload.length);
  bytes.writeUInt32LE(term, 0);
  bytes.writeUInt32LE((((continued ? 0x80 : 0) | kind) * 2 ** 24 + payload.length) >>> 0, 4);
  bytes.set(payload, 8);
  bytes.writeUInt32LE((low32(xxh64(bytes.subarray(4, 8 + payload.length))) ^ place(term, offset)) >>> 0, 8 + payload.length);
  return bytes;
}

/** The entries in the body of an APPEND; a text instead says what is wrong with them. */
export function appended(body) {
  const entries = [];
  for (let at = 0; at < body.length; ) {
    if (at + 12 > body.length) return 'the body of an APPEND ends inside an entry';
    const size = body.readUInt32LE(at + 4) & 0xffffff;
    const end = at + 12 + size;
    if (end > body.length) return 'the body of an APPEND ends inside an entry';
    if (body.readUInt32LE(at) !== 0) return 'the term of an appended entry is zero';
    if ((body[at + 7] & 0x7f) !== 0) return 'the kind of an appended entry is 0';
    if (body.readUInt32LE(end - 4) !== low32(xxh64(body.subarray(at + 4, end - 4))))
      return 'the check of an appended entry is not that of its bytes';
    entries.push({ continued: body[at + 7] >= 0x80, payload: Buffer.from(body.subarray(at + 8, end - 4)) });
    at = end;
  }
  if (entries.length === 0) return 'an APPEND has an entry or more';
  return entries.at(-1).continued ? 'the last entry of an APPEND says that its batch goes on' : entries;
}

export function parseRequest(message) {
  if (message.length < 24) return undefined;
  return {
    opcode: message[0],
    flags: message[1],
    zero: message.readUInt16LE(2),
    id: message.readUInt32LE(4),
    offset: Number(message.readBigUInt64LE(8)),
    a: message.readUInt32LE(16),
    b: message.readUInt32LE(20),
    body: message.subarray(24),
  };
}

/** `understood`: features of the client, as its INTRODUCE says; without 1, uploads do not exist for it. */
export function hello(node, isIntroduced, understood = 0) {
  const leader = Buffer.from(node.leader ?? '');
  const why = Buffer.from(node.why ?? '');
  const head = Buffer.alloc(80);
  head.set([0x81, node.role, 1, 0]);
  head.writeUInt32LE(node.id, 4);
  head.writeBigUInt64LE(BigInt(node.start), 8);
  head.writeBigUInt64LE(BigInt(node.commit), 16);
  head.write(node.cluster, 24, 'hex');
  const numbers = [node.term, 16_777_215, node.windowBytes, 16_777_227, 1 << 20, leader.length];
  for (const [i, value] of numbers.entries()) head.writeUInt32LE(value, 40 + 4 * i);
  head.writeUInt32LE(node.id, 64);
  head.writeUInt16LE(1, 72);
  head.writeUInt16LE(why.length, 74);
  head.writeUInt32LE((understood & 1) === 0 ? node.features & ~12 : node.features, 76);
  if (!isIntroduced) return Buffer.concat([head, leader, why]);
  const list = Buffer.alloc(16);
  list.write(node.generation, 0, 'hex');
  list.writeUInt32LE(node.role === 1 ? node.id : 0, 8);
  list.writeUInt16LE(node.nodes.length, 12);
  const nodes = node.nodes.map((url, i) => Buffer.concat([Buffer.from([i + 1, 0, url.length & 255, url.length >> 8]), Buffer.from(url)]));
  return Buffer.concat([head, leader, why, list, ...nodes, Buffer.alloc(4), Buffer.from('of a later version')]);
}

/** What a node says that asks for a token. */
export function shortHello() {
  const message = Buffer.alloc(24);
  message.set([0x81, 2, 1, 0, 0, 0, 0, 0, 1, 0]);
  return message;
}

export function receipts(list) {
  const message = Buffer.alloc(8 + 32 * list.length);
  message[0] = 0x82;
  message.writeUInt16LE(list.length, 2);
  list.forEach(({ id, term = 1, offset, end, level = 1 }, i) => {
    const at = 8 + 32 * i;
    message.writeUInt32LE(id, at);
    message.writeUInt32LE(term, at + 4);
    message.writeBigUInt64LE(BigInt(offset), at + 8);
    message.writeBigUInt64LE(BigInt(end), at + 16);
    message.writeUInt32LE(level, at + 24);
    message.writeUInt32LE(level === 0 ? 0 : 1, at + 28);
  });
  return message;
}

/** The ids of the appends that a message to the client answers, if it is one that does. */
export function answeredBy(message) {
  if (message[0] === 0x82) return Array.from({ length: message.readUInt16LE(2) }, (_, i) => message.readUInt32LE(8 + 32 * i));
  return message[0] === 0x85 ? [message.readUInt32LE(4)] : [];
}

/** `flags`: 1 SKIPPED, 2 TIMED, with the log's time. */
export function data(id, from, commit, body, flags = 0, time = 0) {
  const head = Buffer.alloc((flags & 2) === 0 ? 24 : 32);
  if ((flags & 2) !== 0) head.writeBigUInt64LE(BigInt(time), 24);
  head.set([0x83, flags]);
  head.writeUInt32LE(id, 4);
  head.writeBigUInt64LE(BigInt(from), 8);
  head.writeBigUInt64LE(BigInt(commit), 16);
  return Buffer.concat([head, body]);
}

export function ended(id, start, commit, term) {
  const message = data(id, start, commit, Buffer.alloc(8));
  message[0] = 0x84;
  message.writeUInt32LE(term, 24);
  return message;
}

export function cancelled(id) {
  const message = data(id, 0, 0, Buffer.alloc(0));
  message[0] = 0x86;
  return message;
}

/** `flags`: 1 fatal, 2 the outcome is unknown. */
export function error(id, number, flags = 0, offset = 0) {
  const message = data(id, offset, 0, Buffer.from('a sentence of the suite'));
  message.set([0x85, flags]);
  message.writeUInt16LE(number, 2);
  return message;
}
