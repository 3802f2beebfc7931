// What a played leader does with an APPEND: plain, with a condition, a link of a chain, uploaded before, of a session.

import * as wire from './wire.mjs';

export const FLAG = { received: 1, conditional: 2, chained: 4, uploaded: 8, session: 16 };

/** What the body of an APPEND has before its entries, which counts in no bound. */
export const bytesBefore = (flags) => (flags & FLAG.uploaded ? 24 : 0) + (flags & FLAG.session ? 16 : 0);

/** The entries of an APPEND, and what its flags put before them; a text instead says what is wrong. */
export function partsOf({ flags, body }) {
  const parts = {};
  let at = 0;
  if (body.length < bytesBefore(flags)) return 'an APPEND has before its entries what its flags say';
  if (flags & FLAG.uploaded) {
    if (body.readUInt32LE(20) !== 0) return 'bytes 20 to 24 of an APPEND with UPLOADED are zero';
    parts.upload = { id: body.toString('hex', 0, 16), nodes: body.readUInt32LE(16) };
    at = 24;
  }
  if (flags & FLAG.session) {
    parts.session = Number(body.readBigUInt64LE(at));
    parts.sequence = Number(body.readBigUInt64LE(at + 8));
    at += 16;
  }
  parts.bytes = Buffer.from(body.subarray(at));
  parts.entries = wire.appended(parts.bytes);
  return typeof parts.entries === 'string' ? parts.entries : parts;
}

/** What is wrong with an APPEND, by the document; undefined for nothing. */
function faultOf({ flags, offset, a, b }, { entries, upload, bytes, sequence }, node, connection) {
  const isConditional = (flags & FLAG.conditional) !== 0;
  const isChained = (flags & FLAG.chained) !== 0;
  if (entries.length !== a) return '`a` of an APPEND is the number of its entries';
  if (!isConditional && (offset !== 0 || b !== 0)) return 'an APPEND without a condition has no expected end';
  if (isConditional && isChained) return 'an APPEND is CONDITIONAL or CHAINED, not both';
  if (isChained && connection.chain === undefined) return 'a chain begins with its head, on the same connection';
  const isOne = entries.every(({ continued }, i) => continued === i + 1 < entries.length);
  if ((flags & (FLAG.conditional | FLAG.chained | FLAG.session)) !== 0 && !isOne)
    return 'a CONDITIONAL or CHAINED append, and one of a session, is exactly one batch';
  if (sequence === 0) return 'the first append of a session has the sequence 1';
  if (upload === undefined) return undefined;
  const had = node.log.uploads.get(upload.id) ?? new Map();
  for (let id = 1; id <= 32; id++) {
    if (((upload.nodes >>> (id - 1)) & 1) === 0) continue;
    if (had.get(id)?.equals(bytes) !== true) return `an APPEND names node ${id} as having an upload that it has not, or not of these bytes`;
  }
  return undefined;
}

/** Numbers an append in its chain, when it arrives. Undefined: it is of none. */
function linkOf(flags, connection) {
  if (flags & FLAG.conditional) connection.chain = { number: 0, last: -1, end: 0, term: 0 };
  else if (flags & FLAG.chained) connection.chain.number += 1;
  else return undefined;
  return { chain: connection.chain, number: connection.chain.number };
}

/** Why it is not done: the number of an error, and its offset field. */
function refusalOf({ flags, offset, b }, link, { log, term }) {
  const { dataEnd, end } = log;
  if (flags & FLAG.conditional && (dataEnd > offset || offset > end || (b !== 0 && b !== term)))
    return [7, dataEnd > offset ? dataEnd : end];
  if (flags & FLAG.chained) {
    const { chain, number } = link;
    if (chain.last !== number - 1 || chain.term !== term || chain.end !== dataEnd) return [18, dataEnd];
  }
  return undefined;
}

function sessionEntry(bytes, row, sequence) {
  const payload = Buffer.alloc(32);
  payload.writeUInt32LE(2, 0);
  payload.writeUInt32LE(bytes, 4);
  for (const [i, value] of [row.session, sequence, row.last].entries()) payload.writeBigUInt64LE(BigInt(value), 8 + 8 * i);
  return { kind: 8, continued: true, payload };
}

export function takeAppend(node, request, connection) {
  const { flags, id } = request;
  const parts = partsOf(request);
  const fault = typeof parts === 'string' ? parts : faultOf(request, parts, node, connection);
  if (fault !== undefined) return node.fault(fault);
  const { entries, bytes, session, sequence } = parts;
  const refuse = (number, offset = 0) => connection.send(wire.error(id, number, 0, offset));
  const level = flags & FLAG.received ? 0 : 1;
  const link = linkOf(flags, connection);
  if (node.role !== 1) return refuse(14);
  const { log, term } = node;
  const row = session === undefined ? undefined : [...log.sessions.values()].find((each) => each.session === session);
  if (session !== undefined && row === undefined) return refuse(27);
  if (row !== undefined && sequence <= row.sequence)
    return connection.send(wire.receipts([{ id, term, ...row.places[sequence - 1], level }]));
  if (row !== undefined && sequence !== row.sequence + 1) return refuse(26, row.sequence);
  const refusal = refusalOf(request, link, node);
  if (refusal !== undefined) return refuse(...refusal);
  if (row !== undefined) {
    const { offset } = log.add(sessionEntry(bytes.length, row, sequence));
    Object.assign(row, { sequence, last: offset });
  }
  const place = log.add(...entries);
  row?.places.push(place);
  if (link !== undefined) Object.assign(link.chain, { last: link.number, end: place.end, term });
  return connection.send(wire.receipts([{ id, term, ...place, level }]));
}
