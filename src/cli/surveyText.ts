// What `loglog status` prints of a cluster. No line is wider than a terminal of 80 columns, whatever the offsets; only an address that is
// longer than that stands as it is.

import { SEAL_SKIP_MS } from '../core/limits.ts';
import type { FeedState, NodeStatus } from '../node/status.ts';
import { COLUMNS, duration, grouped, readableBytes, table, wrapped } from './output.ts';
import type { Survey, SurveyedNode } from './survey.ts';

/** In words, as it is what an operator is to know first. */
function tolerance(failures: number | null): string {
  if (failures === null) return '';
  if (failures === 0) return '; tolerates no more failures';
  return `; tolerates ${failures} more failure${failures === 1 ? '' : 's'}`;
}

function whoLeads({ leader, absentLeaderId, toleratedFailures }: Survey): string {
  if (leader !== undefined) return `node ${leader.id} leads in term ${leader.term}${tolerance(toleratedFailures)}`;
  if (absentLeaderId !== undefined) return `no node that answers leads; they know node ${absentLeaderId} as the leader`;
  return 'no node leads';
}

/** What is said where a leader may not go by its clock. */
const HELD = "the log's time stands still, because the leader may not go by its clock";

/** How far the log is sealed, and what the next segment waits for. */
export function sealText({ end, next, why }: NodeStatus['seals']): string {
  const done = end === 0 ? 'nothing is sealed by the log yet' : `up to offset ${end}`;
  return next === null ? done : `${done}; the segment at offset ${next} is next: ${why}`;
}

const FEED_NOTES: Readonly<Partial<Record<FeedState, string>>> = {
  catchingUp: 'is fed from the disk of the leader',
  cannotBeFed: 'needs entries that the leader no longer has',
};

/** `43 %, 12.0 MB/s, 2 min 5 s left`, after what it lacks. */
function progressText(catchUp: SurveyedNode['catchUp']): string {
  if (catchUp === null) return '';
  const { percent, bytesPerSecond, secondsLeft } = catchUp;
  const left = secondsLeft === null ? 'no nearer to the end' : `${duration(secondsLeft * 1000)} left`;
  return `: it has ${percent} % (${readableBytes(bytesPerSecond)}/s, ${left})`;
}

/** What a node is that does not count for majorities. */
function roleNotesOf(id: number, role: SurveyedNode['memberRole'], isVoter: boolean | null): string[] {
  if (role === 'reader') return [`node ${id} is a learner: it is fed, to serve reads, and does not count for majorities`];
  if (role === 'learner') return [`node ${id} is joining: it is a voter as soon as it has all that is committed`];
  return isVoter === false ? [`node ${id} does not count for majorities until it has the log`] : [];
}

/** How many of the nodes are of which kind: of a log that says it, where not all are voters. */
function kindsOf(nodes: readonly SurveyedNode[]): string {
  const voters = nodes.filter(({ memberRole }) => memberRole === 'voter').length;
  const isPlain = voters === 0 || voters === nodes.length;
  return isPlain ? '' : ` (${voters} ${voters === 1 ? 'voter' : 'voters'})`;
}

function notesOf(
  { id, state, isVoter, memberRole, isOldCopy, lagBytes, durable, isReachable, reason, catchUp }: SurveyedNode,
  hasLeader: boolean,
): string[] {
  const note = FEED_NOTES[state];
  const isUnheard = hasLeader && !isReachable && durable === null;
  const behind = lagBytes === null ? '' : `, ${readableBytes(lagBytes)} to go`;
  return [
    ...(isReachable ? [] : [`node ${id} does not answer: ${reason ?? 'no reason is known'}`]),
    ...(note === undefined ? [] : [`node ${id} ${note}${state === 'catchingUp' ? behind + progressText(catchUp) : ''}`]),
    ...(isUnheard ? [`node ${id} has not answered the leader: what it has on its disk is not known`] : []),
    ...(isOldCopy === true
      ? [`node ${id} came back with an old copy of its disk: it lacks what it had acknowledged, and is fed anew`]
      : []),
    ...roleNotesOf(id, memberRole, isVoter),
  ];
}

/** What is to be known of a disk that is not well; and why its node takes no appends, if that is because of other nodes' disks. */
function diskNotesOf({ id, disk }: SurveyedNode): string[] {
  if (disk === null) return [];
  const { level, roomBytes, criticalBytes, whyRefused } = disk;
  const room = roomBytes === null ? 'how much room it has is not known' : `room for ${readableBytes(roomBytes)} of entries`;
  if (level === 'low') return [`the disk of node ${id} is low: ${room}; below ${readableBytes(criticalBytes)} it takes no appends`];
  if (level === 'critical') return [`the disk of node ${id} is critical: ${room}; it takes no appends until there is more`];
  return whyRefused === null ? [] : [`node ${id} refuses appends: ${whyRefused}`];
}

/** What is damaged of a node's segments. */
function damageNotesOf({ id, scrub }: SurveyedNode): string[] {
  if (scrub === null) return [];
  const { openDamage } = scrub;
  const open =
    openDamage === null ? [] : [`node ${id} does not count: it lacks the log from offset ${openDamage.from} on; ${openDamage.sentence}`];
  if (scrub.damaged === 0) return open;
  const [first] = scrub.segments;
  const what = first === undefined ? '' : `: ${first.sentence} (log offset ${first.offset})`;
  const count = scrub.damaged === 1 ? 'a sealed segment is damaged' : `${grouped(scrub.damaged)} sealed segments are damaged`;
  return [...open, `on node ${id} ${count}${what}`];
}

/** What the node that leads says of the log's time where that stands still, and each node of segments that it gives to nobody. */
function logNotesOf({ id, role, isTimeHeld, seals }: SurveyedNode): string[] {
  const [first, ...more] = seals?.different ?? [];
  const others = more.length === 0 ? '' : `, and ${grouped(more.length)} more`;
  const what = `the segment at log offset ${first}${others}: valid, and not what the log says: loglog verify --cluster`;
  return [
    ...(isTimeHeld ? [`${HELD}: node ${id}, which leads, says why in its log`] : []),
    ...(first === undefined ? [] : [`node ${id} gives nobody ${what}`]),
    ...(role === 'leader' && seals !== null && (seals.waitsMs ?? 0) >= SEAL_SKIP_MS ? [`seals: ${sealText(seals)}`] : []),
  ];
}

/** Builds that differ, and a log that is not of the newest level. */
function versionNotesOf(nodes: readonly SurveyedNode[]): string[] {
  const versions = new Set(nodes.flatMap(({ version }) => version ?? []));
  const which = nodes.flatMap(({ id, version }) => (version === null ? [] : [`${version} on node ${id}`]));
  const newest = Math.max(0, ...nodes.map(({ newestLevel }) => newestLevel ?? 0));
  const level = Math.max(0, ...nodes.map((node) => node.level ?? 0));
  return [
    ...(versions.size > 1 ? [`the nodes run different builds: ${which.join(', ')}`] : []),
    ...(level < newest ? [`the log is of level ${level}; some nodes know level ${newest}: loglog upgrade status`] : []),
  ];
}

/** What nodes say is wrong, each sentence once, with who says it. */
function causesOf(nodes: readonly SurveyedNode[]): string[] {
  const sayers = new Map<string, number[]>();
  for (const { id, causes } of nodes) {
    for (const sentence of causes) {
      const ids = sayers.get(sentence);
      if (ids === undefined) sayers.set(sentence, [id]);
      else ids.push(id);
    }
  }
  return Array.from(sayers, ([sentence, ids]) =>
    ids.length === 1 ? `node ${ids[0]} says: ${sentence}` : `nodes ${ids.join(', ')} say: ${sentence}`,
  );
}

function number(value: number | null): string {
  return value === null ? '-' : grouped(value);
}

function isTooWide(text: string): boolean {
  return text.split('\n').some((line) => line.length > COLUMNS);
}

/** What became of uploads, a row for each node; undefined: no node that answers has had any. */
function uploadsOf(nodes: readonly SurveyedNode[]): string | undefined {
  const isUsed = nodes.some(({ uploads }) => uploads !== null && uploads.taken + uploads.refused + uploads.hits + uploads.misses > 0);
  if (!isUsed) return undefined;
  const heading = ['uploads', 'sent to it', 'hits', 'misses', 'staged', 'placed', 'expired', 'refused'];
  const rows = nodes.map(({ id, sentBytes, uploads }) => {
    const counts = [uploads?.hits, uploads?.misses, undefined, uploads?.placed, uploads?.expired, uploads?.refused];
    const cells = counts.map((count) => number(count ?? null));
    cells[2] = uploads === null ? '-' : readableBytes(uploads.stagedBytes);
    return [`node ${id}`, sentBytes === null ? '-' : readableBytes(sentBytes), ...cells];
  });
  const wide = table([heading, ...rows]);
  if (!isTooWide(wide)) return wide;
  const facts = rows.map(([node, ...cells]) => `${node}: ${cells.map((cell, i) => `${heading[i + 1]} ${cell}`).join(', ')}`);
  return ['uploads', ...facts.map((line) => wrapped(line))].join('\n');
}

function tableOf(nodes: readonly SurveyedNode[]): string {
  const heading = ['node', 'role', 'term', 'end', 'durable', 'commit', 'lag', 'url'];
  const rows = nodes.map(({ id, role, term, tail, durable, commit, lagBytes, url }) => {
    return [String(id), role ?? '-', number(term), number(tail), number(durable), number(commit), number(lagBytes), url];
  });
  return table([heading, ...rows]);
}

/** The same, a paragraph for each node. */
function paragraphOf({ id, role, term, tail, durable, commit, lagBytes, url }: SurveyedNode): string {
  const facts = [`end ${number(tail)}`, `durable ${number(durable)}`, `commit ${number(commit)}`, `lag ${number(lagBytes)}`];
  const lines = [`node ${id}  ${role ?? '-'}  term ${number(term)}`, `  ${url}`];
  for (let i = 0; i < facts.length; i += 2) lines.push(`  ${facts.slice(i, i + 2).join('  ')}`);
  return lines.join('\n');
}

/** The nodes of a cluster, who leads, and what is unusual. */
export function describeSurvey(found: Survey): string {
  const { clusterId, nodes } = found;
  const hasLeader = found.leader !== undefined;
  const head = wrapped(`cluster ${clusterId}, ${nodes.length} nodes${kindsOf(nodes)}: ${whoLeads(found)}`);
  const rows = tableOf(nodes);
  const body = isTooWide(rows) ? nodes.map(paragraphOf).join('\n') : rows;
  const uploads = uploadsOf(nodes);
  const notes = [
    ...nodes.flatMap((node) => [...notesOf(node, hasLeader), ...diskNotesOf(node), ...damageNotesOf(node), ...logNotesOf(node)]),
    ...versionNotesOf(nodes),
    ...causesOf(nodes),
  ].map((note) => wrapped(note));
  return [head, '', body, ...(uploads === undefined ? [] : ['', uploads]), ...(notes.length > 0 ? ['', ...notes] : [])].join('\n');
}
