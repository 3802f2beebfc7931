// `loglog status`: what a node says of itself over HTTP, or, when it is one of several, what each of them says.

import { Command } from 'commander';
import type { MirrorStatus } from '../../node/mirrorPort.ts';
import type { NodeStatus } from '../../node/status.ts';
import { jsonOption, timeoutOption, urlOption, withExamples } from '../arguments.ts';
import { EXIT, Quit } from '../exit.ts';
import { firstStatus, NoAnswer } from '../nodeStatus.ts';
import { counted, duration, grouped, pairs, print, printJson, readableBytes, readableTime, say } from '../output.ts';
import { certificateSentence, survey } from '../survey.ts';
import { describeSurvey, sealText } from '../surveyText.ts';

interface StatusOptions {
  readonly url: readonly string[];
  /** In milliseconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

const TIMEOUT_MS = 5_000;
/** Between two questions to nodes that do not answer. */
const PAUSE_MS = 250;

function diskText({ level, roomBytes, criticalBytes, whyRefused }: NodeStatus['disk']): string {
  const room = roomBytes === null ? 'how much room it has is not known' : `room for ${readableBytes(roomBytes)} of entries`;
  if (whyRefused !== null) return `${room}; appends are refused: ${whyRefused}`;
  return level === 'ok' ? room : `${level}: ${room}; below ${readableBytes(criticalBytes)} appends are refused`;
}

/** How its sealed segments are read through; each damaged one on a line of its own. */
function scrubLines({ isOn, position, endsMs, damaged, segments, openDamage }: NodeStatus['scrub']): (readonly [string, string])[] {
  const until = endsMs === null ? '' : `, all of them by ${readableTime(endsMs)}`;
  const text = !isOn ? 'off' : position === null ? 'nothing is sealed yet' : `sealed segments are read, up to offset ${position}${until}`;
  const more = damaged > segments.length ? [`and ${grouped(damaged - segments.length)} more`] : [];
  const open = openDamage === null ? [] : [`${openDamage.sentence}; the log ends at offset ${openDamage.from} until it is healed`];
  const lines = [...open, ...segments.map(({ sentence, offset }) => `${sentence} (log offset ${offset})`), ...more];
  return [['scrub', text], ...lines.map((line) => ['damaged', line] as const)];
}

function mirrorText({ source, isConnected, awaySinceMs, why, behindBytes, behindMs, catchUp }: MirrorStatus): string {
  const age = behindMs === null ? '' : `, ${duration(behindMs)}`;
  const lacks =
    behindBytes === null ? 'what it lacks is not known' : behindBytes === 0 ? 'has all of it' : `lacks ${readableBytes(behindBytes)}${age}`;
  const left = catchUp?.secondsLeft === null || catchUp === null ? '' : `, ${duration(catchUp.secondsLeft * 1000)} left`;
  const progress = catchUp === null ? '' : ` (${catchUp.percent} %, ${readableBytes(catchUp.bytesPerSecond)}/s${left})`;
  const state = isConnected ? 'follows' : `away for ${duration(Date.now() - (awaySinceMs ?? Date.now()))}`;
  return `of ${source.join(',')}: ${state}, ${lacks}${progress}${why === null ? '' : `; ${why}`}`;
}

/** Until when the log's time goes, and that it stands still. */
function timeText({ timeMs, isTimeHeld }: NodeStatus['log']): string {
  const time = timeMs === null ? 'none yet' : readableTime(timeMs);
  return isTimeHeld ? `${time}; it stands still: this node's log says why` : time;
}

function sealLines(seals: NodeStatus['seals']): (readonly [string, string])[] {
  const lines = seals.different.map((base) => `the segment at offset ${base} is valid, and not what the log says: nobody gets it`);
  return [['seals', sealText(seals)], ...lines.map((line) => ['different', line] as const)];
}

/** What is wrong with its certificates, or soon will be. */
function certificateLines(certificates: NodeStatus['node']['certificates']): (readonly [string, string])[] {
  return certificates.flatMap((certificate) => {
    const sentence = certificateSentence(certificate, Date.now());
    return sentence === undefined ? [] : [['certificate', sentence] as const];
  });
}

function describe(status: NodeStatus): string {
  const { version, clusterId, node, log, segments, seals, disk, scrub, mirror, clients, appends, memory, limits } = status;
  return pairs([
    ['node', `${node.id} at ${node.url}, ${node.role} of term ${node.term}`],
    ['version', `${version}, up for ${duration(node.uptimeMs)}`],
    ['cluster', clusterId],
    ...(node.isDurable ? [] : [['durable', 'nothing: it runs with --fsync off, for tests'] as const]),
    ...(node.isInsecure ? [['insecure', 'whoever reaches it may do everything: it runs with --insecure'] as const] : []),
    ...certificateLines(node.certificates ?? []),
    ...(mirror ? [['mirror', mirrorText(mirror)] as const] : []),
    ['log', `offsets ${log.start} to ${log.commit} (${readableBytes(log.commit - log.start)})`],
    ["the log's time", timeText(log)],
    ['not committed', `${grouped(log.tail - log.commit)} bytes, of these durable ${grouped(Math.max(0, log.durable - log.commit))}`],
    ['sealed segments', grouped(segments.sealed)],
    ['disk', diskText(disk)],
    ...scrubLines(scrub),
    ...sealLines(seals),
    [
      'appended since start',
      `${counted(appends.entries, 'entry', 'entries')} in ${counted(appends.batches, 'message')}, ${readableBytes(appends.bytes)}`,
    ],
    ['clients', `${grouped(clients.connections)} connected, ${readableBytes(clients.sendBufferedBytes)} waiting to be sent`],
    ['resident memory', readableBytes(memory.residentBytes)],
    ['largest payload', `${grouped(limits.maxPayloadBytes)} bytes`],
    ['window', `${grouped(limits.windowBytes)} bytes a connection`],
  ]);
}

/** The same, asked again for `timeoutMs` while none answers. */
async function waitForStatus(urls: readonly string[], timeoutMs: number): Promise<NodeStatus> {
  const deadlineMs = performance.now() + timeoutMs;
  for (let isFirst = true; ; isFirst = false) {
    try {
      return await firstStatus(urls, TIMEOUT_MS);
    } catch (thrown) {
      const leftMs = deadlineMs - performance.now();
      if (!(thrown instanceof NoAnswer) || leftMs <= 0) throw thrown;
      if (isFirst) say(`loglog: waiting for up to ${timeoutMs / 1000} s: ${thrown.message}`);
      await new Promise((resolve) => setTimeout(resolve, Math.min(PAUSE_MS, leftMs)));
    }
  }
}

async function run({ url: urls, json, timeout }: StatusOptions): Promise<void> {
  const status = await waitForStatus(urls, timeout);
  const found = await survey(status);
  if (json === true) await printJson({ ...status, nodes: found.nodes }, 2);
  else await print(found.nodes.length > 1 ? describeSurvey(found) : describe(status));
  const isWell = status.mirror ? status.mirror.isConnected : found.leader !== undefined;
  if (!isWell) throw new Quit(EXIT.FAILURE);
}

export function statusCommand(): Command {
  const command = new Command('status')
    .summary('show what the nodes say of themselves')
    .description(
      'show what a node says of itself, or, of a cluster, who leads and how far each node is; exit code 0 when a leader answers, or a mirror that follows, 1 when none does, 4 when no node answers',
    )
    .addOption(urlOption())
    .addOption(timeoutOption('wait this long for a node that answers').default(0, 'ask once'))
    .addOption(jsonOption('the JSON of the node asked first, and "nodes" with a row for each node of its cluster'))
    .action(run);
  return withExamples(command, [
    ['loglog status', 'of the node on this machine, and of its whole cluster'],
    ['loglog status --url ws://10.0.0.7:7070,ws://10.0.0.8:7070', 'of a cluster; the second is asked if the first does not answer'],
    ['loglog status --json | jq .nodes', 'for programs'],
  ]);
}
