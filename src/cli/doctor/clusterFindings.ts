// What is wrong with a cluster that runs, by what its nodes say of themselves: a function of their answers.

import type { Cause, CauseCode } from '../../core/causes.ts';
import { CLOCK_GUARD_MS } from '../../core/limits.ts';
import { formatNodes } from '../../core/nodeSet.ts';
import type { ClusterNodeStatus, NodeStatus } from '../../node/status.ts';
import { duration } from '../output.ts';
import { type Answer, certificateSentence, ELSEWHERE, leaderOf } from '../survey.ts';
import { inMemory, littleRoom, slowDisk } from './disks.ts';
import { type Finding, type FindingCode, finding } from './findings.ts';

/** Clocks that are further apart than this are told of, in milliseconds; NTP keeps them nearer by far. */
export const CLOCK_OFF_MS = 5_000;

const RECOVER = 'if it is gone for good with a majority of the disks: loglog recover show DIR on each machine that is left';

/** What to do about a node that is gone for good while the others have a leader, which the log says is a member. */
function insteadOf({ id, role }: ClusterNodeStatus): string {
  if (role === 'voter')
    return `if its machine is gone for good: loglog member replace ${id} NEW@HOST:PORT/PEERPORT; if only its disk is, start it with an empty directory`;
  return `if it is gone for good: loglog member remove ${id}`;
}

/** Ids of those that count, as the log says it; where it does not say it, of all. */
function votersOf(answers: readonly Answer[], leader: NodeStatus | undefined): readonly number[] {
  const all = leader?.cluster.nodes ?? answers.map(({ known }) => known);
  const voters = all.filter(({ role }) => role === 'voter');
  return (voters.length === 0 ? all : voters).map(({ id }) => id);
}

/** What a cause between nodes is, what should be instead, and what to do; the others are told in other words. */
const CAUSE_FINDINGS: Readonly<Partial<Record<CauseCode, readonly [FindingCode, string, string]>>> = {
  LEADS_TO_SELF: [
    'WRONG_ADDRESS',
    'an address in --peers that leads to that node',
    'correct the address in --peers, or the name in /etc/hosts, and start the node that says so again',
  ],
  LEADS_TO_OTHER: [
    'WRONG_ADDRESS',
    'an address in --peers that leads to that node',
    'correct the address in --peers, or the forwarded port, and start the node that says so again',
  ],
  TWO_PROCESSES: [
    'TWO_NODES_ONE_ID',
    'one process with each id',
    'stop the one that is not meant; start it again only with an id of its own and an empty directory',
  ],
  REFUSED: ['NODES_APART', 'nodes that take each other in', 'do what the sentence says; docs/PEERS.md, "Refused", has each code'],
  LISTENS_ON_LOOPBACK: [
    'NODES_APART',
    'an address that the other machines reach',
    'start the node that says so with --host and an address that others reach',
  ],
  ONE_WAY: [
    'NODES_APART',
    'each node reaches each other one',
    'open the firewall for the ports of nodes, and look at --host and --peers on both',
  ],
  UNREACHABLE: [
    'NODES_APART',
    'each node reaches each other one',
    'open the firewall for the ports of nodes, and look at --host and --peers on both',
  ],
};

/** What the nodes say keeps them apart. A node that does not answer here either has its own finding. */
function apart(statuses: readonly NodeStatus[]): Finding[] {
  const answering = new Set(statuses.map(({ node }) => node.id));
  return statuses.flatMap(({ node, cluster }) =>
    cluster.causes.flatMap(({ code, node: other, sentence }: Cause): Finding[] => {
      const known = CAUSE_FINDINGS[code];
      if (known === undefined || (code === 'UNREACHABLE' && (other === null || !answering.has(other)))) return [];
      const [as, expected, todo] = known;
      return [finding(as, other === null ? 'the cluster' : `node ${other}`, `node ${node.id} says: ${sentence}`, expected, todo)];
    }),
  );
}

function down({ known, reason }: Answer, leader: NodeStatus | undefined): Finding[] {
  if (reason === undefined) return [];
  const about = `node ${known.id}`;
  const isElsewhere = reason === ELSEWHERE.otherCluster || reason === ELSEWHERE.noNode || /^node \d+ answers there$/.test(reason);
  if (isElsewhere) {
    const todo = `correct the address of node ${known.id} in --peers or --advertise, or what leads there (a proxy, a forwarded port)`;
    return [finding('WRONG_ADDRESS', about, `at ${known.url}: ${reason}`, `node ${known.id} of this cluster answers there`, todo)];
  }
  const member = leader?.cluster.nodes.find(({ id, role }) => id === known.id && (role ?? null) !== null);
  const gone = member === undefined ? RECOVER : insteadOf(member);
  return [finding('NODE_DOWN', about, `at ${known.url}: ${reason}`, 'it answers', `start it, or look at the network between; ${gone}`)];
}

/** That nobody leads, and why. */
function noMajority(answers: readonly Answer[], statuses: readonly NodeStatus[]): Finding[] {
  const total = answers.length;
  const voters = votersOf(answers, undefined);
  const silent = answers.filter(({ known, status }) => status === undefined && voters.includes(known.id)).map(({ known }) => known.id);
  const whys = new Set(statuses.flatMap(({ node }) => (node.whyNoLeader === null ? [] : [`node ${node.id} says: ${node.whyNoLeader}`])));
  const needed = Math.floor(voters.length / 2) + 1;
  const nodes = `${voters.length} ${voters.length === total ? 'nodes' : 'voters'}`;
  const seen = [`nobody leads, and ${statuses.length} of ${total} nodes answer here`, ...whys].join('; ');
  const start =
    silent.length === 0
      ? 'do what the nodes say, and what is said here of each'
      : `start ${silent.length === 1 ? 'node' : 'the nodes'} ${formatNodes(silent)}`;
  return [
    finding('NO_MAJORITY', 'the cluster', seen, `${needed} of ${nodes} that talk with each other, and may vote`, `${start}; ${RECOVER}`),
  ];
}

/** How the leader feeds the others. */
function feeding(leader: NodeStatus): Finding[] {
  return leader.cluster.nodes.flatMap(({ id, state, isOldCopy, isVoter, role, isConnected }): Finding[] => {
    const about = `node ${id}`;
    if (!isConnected) return [];
    if (state === 'cannotBeFed')
      return [
        finding(
          'CANNOT_BE_FED',
          about,
          `it needs entries that the leader, node ${leader.node.id}, no longer has`,
          'entries that the leader has, or a log that begins where that of the leader does',
          'it begins anew where the log of the leader begins: look again in a minute. If it stays like this, stop it, move its directory away, and start it with an empty one: it is fed all that there is',
        ),
      ];
    if (isOldCopy === true)
      return [
        finding(
          'OLD_COPY',
          about,
          'it lacks what it had acknowledged to the leader: it runs on an old copy of its disk',
          'the disk that it had, or an empty one',
          'nothing now: it is fed anew, and counts again then; never start a node on a copy or a snapshot of its disk again',
        ),
      ];
    // A learner that stays one is what it is to be.
    if (isVoter === false && role !== 'reader')
      return [
        finding(
          'NOT_A_VOTER',
          about,
          'it does not count for majorities yet',
          'it has all of the log',
          'wait until it is fed: loglog status shows how far it is',
        ),
      ];
    return [];
  });
}

/** Clocks that are off: against most of the nodes, or, where there are too few of them, against this machine's. */
function clocks(answers: readonly Answer[]): Finding[] {
  const read = answers.flatMap(({ known, status, askedMs, answeredMs }) => {
    // Earlier builds do not say it.
    const clockMs: number | undefined = status?.node.clockMs;
    if (clockMs === undefined) return [];
    return [{ id: known.id, aheadMs: clockMs - (askedMs + answeredMs) / 2, doubtMs: (answeredMs - askedMs) / 2 }];
  });
  const byMs = read.map(({ aheadMs }) => aheadMs).sort((a, b) => a - b);
  const middleMs = read.length < 3 ? 0 : (byMs[Math.floor((byMs.length - 1) / 2)] ?? 0);
  return read.flatMap(({ id, aheadMs, doubtMs }): Finding[] => {
    const offMs = aheadMs - middleMs;
    if (Math.abs(offMs) - doubtMs < CLOCK_OFF_MS) return [];
    const against = read.length < 3 ? 'the clock of this machine, one of which is wrong' : 'those of most nodes';
    const effect = `further apart than ${CLOCK_GUARD_MS / 1000} s the log's time stands still while it leads, and tokens end too early or too late`;
    return [
      finding(
        'CLOCK_OFF',
        `node ${id}`,
        `its clock is ${duration(Math.abs(offMs))} ${offMs > 0 ? 'ahead' : 'late'}, against ${against}; ${effect}`,
        `clocks that are within ${CLOCK_OFF_MS / 1000} s of each other`,
        `set the clock of node ${id} by NTP (timedatectl, chronyc tracking)`,
      ),
    ];
  });
}

/** Builds that are not the same. */
function versions(statuses: readonly NodeStatus[]): Finding[] {
  // Earlier builds do not say what they know.
  const known = statuses.map(({ node, version }): { id: number; version: string; newest: number | undefined } => ({
    id: node.id,
    version,
    newest: node.newestLevel,
  }));
  const newest = Math.max(...known.map(({ newest: level }) => level ?? 0));
  const level = Math.max(...statuses.map(({ log }) => log.level ?? 0));
  if (level < newest) {
    const old = known.filter((each) => (each.newest ?? 0) < newest);
    const expected = `a log of level ${newest}, which the newest of the nodes know`;
    if (old.length === 0)
      return [
        finding(
          'VERSION_HOLDS_BACK',
          'the log',
          `it is of level ${level}, and all nodes that answer know level ${newest}`,
          expected,
          'if you do not want to go back any more: loglog upgrade finalize',
        ),
      ];
    return old.map(({ id, version, newest: own }) =>
      finding(
        'VERSION_HOLDS_BACK',
        `node ${id}`,
        `its LogLog (${version}) ${own === undefined ? 'does not say which levels it knows' : `knows levels up to ${own}`}, and the log is of level ${level}`,
        expected,
        `stop node ${id}, and start it with the newer LogLog; then loglog upgrade finalize`,
      ),
    );
  }
  const all = [...new Set(known.map(({ version }) => version))].sort();
  if (all.length < 2) return [];
  const who = all
    .map((version) => `${version} (node ${formatNodes(known.filter((each) => each.version === version).map(({ id }) => id))})`)
    .join(', ');
  return [
    finding(
      'VERSION_HOLDS_BACK',
      'the cluster',
      `its nodes run different builds: ${who}`,
      'one build on all nodes',
      'go on with the upgrade, one node after the other, the leader last',
    ),
  ];
}

/** What one node says of itself. */
function ownFindings(status: NodeStatus, leaderId: number | undefined): Finding[] {
  const { node, disk, scrub, seals, log, mirror } = status;
  const about = `node ${node.id}`;
  const found: Finding[] = [];
  if (!node.isDurable)
    found.push(
      finding(
        'NOT_DURABLE',
        about,
        'it runs with --fsync off: nothing that it acknowledges is durable',
        '--fsync on',
        'start it without --fsync off; that is for tests',
      ),
    );
  // Earlier builds do not say it.
  found.push(...inMemory(about, disk.fileSystem ?? null), ...littleRoom(about, disk));
  const effect =
    leaderId === node.id
      ? 'it leads, so each append waits for it or for a majority without it'
      : 'appends wait for it where it is needed for a majority';
  if (disk.syncs !== undefined) found.push(...slowDisk(about, disk.syncs, effect));
  const heal =
    'start all other nodes: what is damaged is healed from them; then look at the disk (smartctl -a, dmesg). loglog verify --cluster compares all';
  if (scrub.openDamage !== null) found.push(finding('DAMAGED', about, scrub.openDamage.sentence, 'all that was durable', heal));
  for (const { sentence, offset } of scrub.segments)
    found.push(finding('DAMAGED', about, `${sentence} (log offset ${offset})`, 'all that was durable', heal));
  for (const base of seals.different) {
    const seen = `the segment at log offset ${base} is valid, and not what the log says: nobody gets it`;
    found.push(
      finding(
        'DAMAGED',
        about,
        seen,
        'the bytes that a majority has sealed',
        'keep its directory for whoever looks into it, and start the node with an empty one',
      ),
    );
  }
  if (log.isTimeHeld && leaderId === node.id)
    found.push(
      finding(
        'CLOCK_OFF',
        about,
        "it leads, and the log's time stands still, because clocks are too far apart",
        `clocks within ${CLOCK_GUARD_MS / 1000} s of each other`,
        'set the clocks of all nodes by NTP; its log says which',
      ),
    );
  if (node.isInsecure === true)
    found.push(
      finding(
        'INSECURE',
        about,
        'whoever reaches it may do everything: it runs with --insecure',
        'TLS, and tokens or certificates of clients',
        'loglog tls init, and --tokens',
      ),
    );
  for (const certificate of node.certificates ?? []) {
    const sentence = certificateSentence(certificate, Date.now());
    if (sentence !== undefined)
      found.push(
        finding(
          'CERTIFICATE',
          about,
          sentence,
          'a certificate that counts for 30 days and more',
          'loglog tls issue, and put the new files in place of the old ones: they are read again',
        ),
      );
  }
  if (mirror && !mirror.isConnected)
    found.push(
      finding(
        'MIRROR_AWAY',
        about,
        `it does not follow its source at ${mirror.source.join(',')}: ${mirror.why ?? 'no reason is known'}`,
        'it follows',
        'look at the source, and at the network between',
      ),
    );
  return found;
}

/** All that is wrong, as far as the answers show it. */
export function clusterFindings(answers: readonly Answer[]): readonly Finding[] {
  const statuses = answers.flatMap(({ status }) => status ?? []);
  const leader = leaderOf(statuses);
  const found = [
    ...answers.flatMap((answer) => down(answer, leader)),
    ...apart(statuses),
    ...statuses.flatMap((status) => ownFindings(status, leader?.node.id)),
    ...clocks(answers),
    ...versions(statuses),
  ];
  if (statuses.some(({ mirror }) => mirror)) return found;
  if (leader === undefined) return [...noMajority(answers, statuses), ...found];
  const voters = votersOf(answers, leader).length;
  const most = Math.floor((voters - 1) / 2);
  const tolerated = leader.cluster.toleratedFailures ?? most;
  const reserve =
    tolerated < most
      ? [
          finding(
            'NO_RESERVE',
            'the cluster',
            tolerated === 0 ? 'it tolerates no more failures' : `it tolerates ${tolerated} more failure${tolerated === 1 ? '' : 's'}`,
            `of ${voters} ${voters === answers.length ? 'nodes' : 'voters'} ${most} may fail`,
            'do what is said here of the nodes, before another one fails',
          ),
        ]
      : [];
  return [...found, ...feeding(leader), ...reserve];
}
