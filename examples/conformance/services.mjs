// What a played node does with the requests other than appends and readings, by the name of each: it keeps to docs/PROTOCOL.md, and notes where a client does not.

import * as answers from './answers.mjs';
import { BEGIN_MS, GENERATION } from './log.mjs';
import * as wire from './wire.mjs';

const LARGEST = 2 ** 53 - 1;
const u64 = (body, at) => Number(body.readBigUInt64LE(at));

function refuse(connection, id, number, offset = 0) {
  connection.send(wire.error(id, number, 0, offset));
}

/** What only the leader does; otherwise NOT_LEADER. */
const byLeader = (serve) => (node, request, connection) =>
  node.role === 1 ? serve(node, request, connection) : refuse(connection, request.id, 14);

function upload(node, { id, offset, a, body }, connection) {
  if ((connection.features & 1) === 0) node.fault('UPLOAD is for clients that said in INTRODUCE that they understand it');
  if ((node.features & 4) === 0) node.fault('UPLOAD is for nodes with feature 4');
  if (body.length < 17 || body.length > 16 + 262_144)
    return node.fault('a chunk of an upload has 16 bytes of id, and 1 to 262,144 of entries');
  if (a < 12 || a > 4_194_304) node.fault('an upload has 12 to 4,194,304 bytes');
  const key = body.toString('hex', 0, 16);
  const chunk = Buffer.from(body.subarray(16));
  if (offset === 0) connection.upload = { key, id, size: a, parts: [], bytes: 0 };
  const under = connection.upload;
  if (under === undefined) return node.fault('an upload begins at 0');
  if (under.key !== key || under.id !== id || under.size !== a)
    return node.fault('all chunks of an upload have its id, request id and size');
  if (under.bytes !== offset || under.bytes + chunk.length > a) return node.fault('chunks come in order, and are no more than the upload');
  under.parts.push(chunk);
  under.bytes += chunk.length;
  if (under.bytes < a) return undefined;
  const { uploads } = node.log;
  if (!uploads.has(key)) uploads.set(key, new Map());
  if (uploads.get(key).has(node.id)) node.fault('each upload has an id of its own');
  uploads.get(key).set(node.id, Buffer.concat(under.parts));
  connection.upload = undefined;
  return connection.send(answers.uploaded(id, a));
}

function trim(node, { id, flags, offset }, connection) {
  const { log } = node;
  if (offset > node.commit) return refuse(connection, id, 9, node.commit);
  const boundary = log.entries.findLast((entry) => entry.end <= offset)?.end ?? 0;
  const start = Math.max(log.start, boundary);
  if ((flags & 1) === 0) log.start = start;
  return connection.send(wire.ended(id, start, node.commit, node.term));
}

function find(node, { id, offset }, connection) {
  if (node.log.level === 0) return refuse(connection, id, 16);
  return connection.send(answers.found(id, node.log.find(offset), node.commit));
}

function retention(node, { id, flags, offset, a, b, body }, connection) {
  const { log, commit } = node;
  const age = a + b * 2 ** 32;
  if ((flags & 1) === 0 ? offset !== 0 : offset !== 0 && (offset < 65_536 || offset > LARGEST))
    node.fault('RETENTION has in `offset` 0, or with BYTES 65,536 or more');
  if ((flags & 2) === 0 ? age !== 0 : age !== 0 && (age < 1000 || age > LARGEST))
    node.fault('RETENTION has in `a` and `b` 0, or with AGE 1,000 ms or more');
  if (body.length !== ((flags & 8) === 0 ? 0 : 8)) return refuse(connection, id, 1);
  if ((flags & 1) !== 0) log.policy.bytes = offset;
  if ((flags & 2) !== 0) log.policy.age = age;
  if ((flags & 8) !== 0) log.policy.consumers = u64(body, 0);
  const about = { start: log.start, commit, oldest: BEGIN_MS, time: log.timeBefore(log.end) };
  return connection.send(answers.kept(id, log.policy, about, (flags & 4) !== 0));
}

/** `node.holdsBack`: ids of nodes that are not there. */
function upgrade(node, { id, flags }, connection) {
  const { log } = node;
  const away = node.holdsBack ?? [];
  if ((flags & 1) !== 0 && away.length === 0) log.level = log.newest;
  const nodes = [1, 2, 3].map((each) => ({ id: each, isHeard: !away.includes(each), lowest: 0, highest: log.newest }));
  return connection.send(answers.levels(id, log.level, log.newest, nodes));
}

const TOKEN_BYTES = 104;

function tokens(node, { id, body }, connection) {
  const { log } = node;
  if (body.length === 0)
    return connection.send(
      answers.listed(
        id,
        false,
        [...log.tokens.keys()].sort().map((key) => log.tokens.get(key)),
      ),
    );
  const what = body.length < 4 ? 0 : body.readUInt32LE(0);
  if (what === 2 && body.length === 12) return connection.send(answers.listed(id, log.tokens.delete(body.toString('hex', 4)), []));
  const record = Buffer.from(body.subarray(4));
  const isRecord = what === 1 && record.length > TOKEN_BYTES && record.length === TOKEN_BYTES + record.readUInt32LE(4);
  if (!isRecord || record.readUInt32LE(0) === 0 || record.readUInt32LE(100) !== 0) {
    node.fault('TOKENS has no body, or an access entry that puts a token or removes one');
    return refuse(connection, id, 1);
  }
  const key = record.toString('hex', 8, 16);
  const isNew = !log.tokens.has(key);
  if (isNew) log.tokens.set(key, record);
  return connection.send(answers.listed(id, isNew, []));
}

/** A change of a named consumer, as in a position entry; undefined where it is none. */
function changeOf(body) {
  const [what, size] = [body[0], body[1] ?? 0];
  const isNamed = (at) => size >= 1 && size <= 64 && body.length === at + size;
  if (body.length < 4 || body.readUInt16LE(2) !== 0) return undefined;
  if (what === 2) return body.length === 20 && size === 0 ? { what, fence: u64(body, 4), position: u64(body, 12) } : undefined;
  if (what === 3 && isNamed(12)) {
    const position = body.readBigUInt64LE(4);
    return { what, position: position === 2n ** 64n - 1n ? undefined : Number(position), name: body.toString('utf8', 12) };
  }
  return (what === 1 || what === 4) && isNamed(4) ? { what, name: body.toString('utf8', 4) } : undefined;
}

function consumers(node, { id, body }, connection) {
  const { log } = node;
  const { rows } = log.consumers;
  if ((node.features & 128) === 0) node.fault('CONSUMERS is for nodes with feature 128');
  if (body.length === 0) {
    const all = [...rows.keys()].sort().map((name) => ({ name, ...rows.get(name) }));
    return connection.send(answers.positions(id, { start: log.start, dataEnd: log.dataEnd }, all));
  }
  const generation = body.toString('hex', 0, 8);
  const change = body.length < 8 ? undefined : changeOf(body.subarray(8));
  if (change === undefined) {
    node.fault('CONSUMERS has no body, or a generation and one change');
    return refuse(connection, id, 1);
  }
  if (generation !== GENERATION && (change.what === 2 || generation !== '00'.repeat(8))) return refuse(connection, id, 25);
  return changeConsumer(node, id, change, connection);
}

function changeConsumer(node, id, { what, name, fence, position }, connection) {
  const { log } = node;
  const { rows } = log.consumers;
  const time = log.timeBefore(log.end);
  const tell = (hasChanged, named) => {
    const records = rows.has(named) ? [{ name: named, ...rows.get(named) }] : [];
    connection.send(answers.positions(id, { hasChanged, generation: GENERATION }, records));
  };
  if ((what === 2 || what === 3) && (position ?? 0) > node.commit) return refuse(connection, id, 9, node.commit);
  if (what === 4) return tell(rows.delete(name), name);
  if (what === 2) {
    const owner = [...rows].find(([, row]) => row.fence === fence);
    if (owner === undefined) return refuse(connection, id, 28);
    const [named, row] = owner;
    const moves = row.position === undefined || row.position < position;
    if (moves) Object.assign(row, { position, time });
    return tell(moves, named);
  }
  log.consumers.fences += 1;
  const kept = what === 1 ? rows.get(name)?.position : position;
  rows.set(name, { fence: log.consumers.fences, position: kept, time });
  return tell(true, name);
}

function transfer(node, { id, flags, a, b }, connection) {
  const to = a === 0 ? 2 : a;
  if (a === node.id || (b !== 0 && b < node.term)) return connection.send(answers.transferred(id, node.id, node.term));
  if (b > node.term) node.fault('`b` of TRANSFER is a term that the client was told');
  if ((flags & 1) !== 0) return connection.send(answers.transferred(id, to, node.term));
  if (!node.members.some((member) => member.id === to)) return refuse(connection, id, 16);
  return connection.send(answers.transferred(id, to, node.term + 1));
}

const INSTANCE = /^[0-9a-f]{16}$/;

function openSession(node, { id, offset: follows, body }, connection) {
  const { log } = node;
  const instance = body.toString('hex', 0, 8);
  const name = body.toString('utf8', 8);
  if ((node.features & 256) === 0) node.fault('OPEN_SESSION is for nodes with feature 256');
  if (!INSTANCE.test(instance) || /^0+$/.test(instance) || body.length < 9 || body.length > 72)
    return node.fault('OPEN_SESSION has an instance that is not zero, and a name of 1 to 64 bytes');
  const before = log.sessions.get(name);
  const tell = (row) => connection.send(answers.sessionOpened(id, row.session, row.before, row.beforeSequence));
  // Asked for again.
  if (before?.instance === instance && before.session !== follows) return before.sequence === 0 ? tell(before) : refuse(connection, id, 28);
  if (follows !== 0 && before !== undefined && before.instance !== instance) return refuse(connection, id, 28);
  const session = log.end;
  const payload = Buffer.concat([Buffer.alloc(8), body]);
  payload.writeUInt32LE(1, 0);
  payload.writeUInt32LE(body.length - 8, 4);
  log.add({ kind: 8, payload });
  const over = { before: before?.session ?? 0, beforeSequence: before?.sequence ?? 0 };
  log.sessions.set(name, { session, instance, sequence: 0, last: session, places: [], ...over });
  return tell(log.sessions.get(name));
}

const ROLES = { voter: 1, learner: 2, reader: 3 };

/** The list that a change makes of `members`, or the number of an error. */
function changed(members, { kind, id, role, port, peerPort, host }) {
  const there = members.find((member) => member.id === id);
  if (kind === 1) {
    if (there !== undefined) return 41;
    const whoComes = { instance: '00000000000000bb', isConnected: true, counts: false, fed: 2, durable: 2 ** 40, heard: BEGIN_MS };
    const member = { id, role, port, peerPort, host, url: '', ...whoComes };
    return [...members, member].sort((one, other) => one.id - other.id);
  }
  if (there === undefined) return 40;
  if (kind === 2) return members.filter((member) => member !== there);
  const next = kind === 3 ? ROLES.voter : ROLES.reader;
  if (there.role === next) return 41;
  return members.map((member) => (member === there ? { ...member, role: next, counts: kind === 3 } : member));
}

function members(node, { id, flags, body }, connection) {
  const { log } = node;
  const about = {
    start: log.start,
    commit: node.commit,
    end: log.end,
    level: log.level,
    newest: log.newest,
    leader: node.id,
    term: node.term,
  };
  if (body.length === 0) return connection.send(answers.memberList(id, 2, about, node.members));
  const isAdd = body[0] === 1;
  const isChange = body.length >= 16 && body[0] >= 1 && body[0] <= 4 && body[1] >= 1 && body[1] <= 32 && body[3] === 0;
  const isRight = isAdd ? [2, 3].includes(body[2]) && body.length > 16 : body.length === 16 && body.subarray(2).every((byte) => byte === 0);
  if (!isChange || !isRight) {
    node.fault('MEMBERS has no body, or one change');
    return refuse(connection, id, 1);
  }
  const [port, peerPort] = [body.readUInt16LE(4), body.readUInt16LE(6)];
  const next = changed(node.members, { kind: body[0], id: body[1], role: body[2], port, peerPort, host: body.toString('latin1', 16) });
  if (typeof next === 'number') return refuse(connection, id, next);
  if ((flags & 1) === 0) node.members = next;
  return connection.send(answers.memberList(id, (flags & 1) === 0 ? 3 : 2, about, next));
}

export const SERVICES = {
  upload,
  find,
  trim: byLeader(trim),
  retention: byLeader(retention),
  upgrade: byLeader(upgrade),
  tokens: byLeader(tokens),
  consumers: byLeader(consumers),
  transfer: byLeader(transfer),
  open_session: byLeader(openSession),
  members: byLeader(members),
};
