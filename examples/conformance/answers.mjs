// What nodes answer to requests other than appends and readings, byte by byte as docs/PROTOCOL.md says.

function answer(opcode, id, bytes, flags = 0) {
  const message = Buffer.alloc(bytes);
  message.set([opcode, flags]);
  message.writeUInt32LE(id, 4);
  return message;
}

/** Writes `values` as u64 from byte `at` on. */
function u64s(message, at, ...values) {
  values.forEach((value, i) => void message.writeBigUInt64LE(BigInt(value), at + 8 * i));
  return message;
}

function u32s(message, at, ...values) {
  values.forEach((value, i) => void message.writeUInt32LE(value, at + 4 * i));
  return message;
}

export const uploaded = (id, bytes) => u64s(answer(0x87, id, 24), 8, bytes);

export const found = (id, offset, commit) => u64s(answer(0x88, id, 24), 8, offset, commit);

/** `consumers`: undefined where that was not asked for. */
export function kept(id, { bytes, age, consumers }, { start, commit, oldest, time }, tellsConsumers) {
  const message = u64s(answer(0x89, id, tellsConsumers ? 64 : 56), 8, bytes, age, start, commit, oldest, time);
  return tellsConsumers ? u64s(message, 56, consumers) : message;
}

/** `nodes`: each `{ id, isHeard, lowest, highest }`. */
export function levels(id, level, newest, nodes) {
  const message = u32s(answer(0x8a, id, 24 + 8 * nodes.length), 8, level, newest, nodes.length);
  nodes.forEach((node, i) => {
    const at = 24 + 8 * i;
    message.set([node.id, node.isHeard ? 1 : 0], at);
    message.writeUInt16LE(node.isHeard ? node.lowest : 0, at + 4);
    message.writeUInt16LE(node.isHeard ? node.highest : 0, at + 6);
  });
  return message;
}

/** `records`: their bytes, with the hashes that are not told. */
export function listed(id, hasChanged, records) {
  const told = records.map((record) => Buffer.from(record).fill(0, 16, 48));
  return Buffer.concat([u32s(answer(0x8b, id, 24, hasChanged ? 1 : 0), 16, records.length), ...told]);
}

/** `first`: where the log starts, or after a change the generation's 8 bytes. */
export function positions(id, { hasChanged = false, generation = undefined, start = 0, dataEnd = 0 }, records) {
  const flags = (hasChanged ? 1 : 0) | (generation === undefined ? 0 : 2);
  const message = u64s(answer(0x8c, id, 24, flags), 8, start, dataEnd);
  if (generation !== undefined) message.write(generation, 8, 'hex');
  return Buffer.concat([message, ...records.map(consumerRecord)]);
}

const NONE = 2n ** 64n - 1n;

function consumerRecord({ fence, position, time, name }) {
  const text = Buffer.from(name);
  const head = u64s(Buffer.alloc(28), 0, fence, position ?? NONE, time);
  return Buffer.concat([u32s(head, 24, text.length), text]);
}

export const transferred = (id, leader, term) => u32s(answer(0x8f, id, 24), 16, leader, term);

export const sessionOpened = (id, session, before, sequence) => u64s(answer(0x90, id, 32), 8, session, before, sequence);

/** `members`: each `{ id, role, isConnected, counts, fed, port, peerPort, instance, durable, heard, host, url }`. */
export function memberList(id, flags, log, members) {
  const head = u64s(answer(0x91, id, 48, flags), 8, log.start, log.commit, log.end);
  head.writeUInt16LE(members.length, 2);
  u32s(head, 32, log.level, log.newest, log.leader, log.term);
  return Buffer.concat([head, ...members.map(memberRecord)]);
}

function memberRecord({ id, role, isConnected, counts, fed, port, peerPort, instance, durable, heard, host, url }) {
  const head = Buffer.alloc(40);
  head.set([id, role, (isConnected ? 1 : 0) | (counts ? 2 : 0) | 8 | 16, fed]);
  head.writeUInt16LE(port, 4);
  head.writeUInt16LE(peerPort, 6);
  head.write(instance, 8, 'hex');
  u64s(head, 16, durable, heard);
  for (const [i, value] of [0, 2, host.length, url.length].entries()) head.writeUInt16LE(value, 32 + 2 * i);
  return Buffer.concat([head, Buffer.from(host), Buffer.from(url)]);
}
