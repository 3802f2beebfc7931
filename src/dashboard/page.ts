// The dashboard: what a node and its cluster do, for people. It asks each node that the browser reaches, shows what they say, and keeps nothing.

import { connect, type LogClient } from '../client/browser.ts';
import type { LogRetention } from '../client/retention.ts';
import type { ClusterNodeStatus, NodeStatus } from '../node/status.ts';
import type { NodeHistory } from '../server/http.ts';
import { Actions } from './actions.ts';
import { Charts } from './charts.ts';
import { consumersOf, showConsumers } from './consumers.ts';
import { byId, element, row, say } from './dom.ts';
import { Entries } from './entries.ts';
import { healthOf } from './health.ts';
import { bytesText, durationText, msText, timeText } from './texts.ts';

/** Where this page is: a prefix that a proxy has put before it stays, with or without a slash at its end. */
const BASE = new URL(`${location.origin}${location.pathname.replace(/\/?$/, '/')}`);
const LOOK_MS = 2000;
const PATIENCE_MS = 5000;
const TOKEN = 'loglog-token';

class Unauthenticated extends Error {}

const main = document.querySelector('main') ?? document.body;
const health = byId('health', HTMLParagraphElement);
const advice = byId('advice', HTMLParagraphElement);
const tokenForm = byId('token', HTMLFormElement);
const spanChoice = byId('span', HTMLSelectElement);
const nodeChoice = byId('span-node', HTMLSelectElement);

/** It lives as long as the tab. */
const token = (): string | undefined => sessionStorage.getItem(TOKEN) ?? undefined;

/** What whoever looks may do, as the page's own node said last. */
let scopes: readonly string[] = [];

async function facts<Fact>(base: URL, page: string): Promise<Fact> {
  const shown = token();
  const headers: Record<string, string> = shown === undefined ? {} : { authorization: `Bearer ${shown}` };
  const response = await fetch(new URL(page, base), { headers, cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
  if (response.status === 401) throw new Unauthenticated();
  if (!response.ok) throw new Error((await response.text()).trim() || `HTTP ${response.status}`);
  if (base === BASE && page === 'status') scopes = (response.headers.get('loglog-scopes') ?? '').split(',');
  return (await response.json()) as Fact;
}

let client: Promise<LogClient> | undefined;

/** One client for all; made anew where it could not connect. */
function connected(): Promise<LogClient> {
  const url = BASE.href.replace(/^http/, 'ws').replace(/\/$/, '');
  client ??= connect(url, { token: token() }).catch((thrown: unknown) => {
    client = undefined;
    throw thrown;
  });
  return client;
}

const charts = new Charts(byId('charts', HTMLDivElement));
const actions = new Actions(connected);
new Entries(connected);
let history: NodeHistory | undefined;

/** What a node does: as the log says, where it is no voter. */
function officeText({ role, lagBytes, durable }: ClusterNodeStatus, own: NodeStatus['node']['role']): string {
  if (role === 'reader') return 'learner';
  if (role !== 'learner') return own;
  const end = durable === null || lagBytes === null ? 0 : durable + lagBytes;
  return end === 0 || durable === null ? 'joining' : `joining, ${Math.floor((100 * durable) / end)} %`;
}

function showNodes(own: NodeStatus, all: readonly NodeStatus[]): void {
  const leader = all.find(({ node }) => node.role === 'leader')?.cluster ?? own.cluster;
  const rows = leader.nodes.map((seen) => {
    const status = all.find(({ node, mirror }) => node.id === seen.id && mirror === null);
    const lag = seen.lagBytes === null ? 'unknown' : bytesText(seen.lagBytes);
    const names = [String(seen.id), seen.id === own.node.id ? ' (this one)' : ''].join('');
    if (status === undefined) return row([names, seen.url, 'this browser does not reach it', '', lag, '', '', '', '']);
    const { node, disk, version } = status;
    const room = `${bytesText(disk.roomBytes)}${disk.level === 'ok' ? '' : ` (${disk.level})`}`;
    return row([
      names,
      seen.url,
      officeText(seen, node.role),
      String(node.term),
      node.role === 'leader' ? 'leads' : lag,
      msText(disk.syncs.p99Ms),
      room,
      version,
      durationText(node.uptimeMs),
    ]);
  });
  const head = ['Node', 'Address', 'Role', 'Term', 'Lacks', 'Sync p99', 'Room', 'Version', 'Up'];
  byId('nodes', HTMLTableElement).replaceChildren(row(head, 'th'), ...rows);
}

function showLog({ log, segments, seals, scrub, clients, node }: NodeStatus, kept: LogRetention | undefined): void {
  const bounds =
    kept === undefined ? [] : [kept.bytes === null ? '' : bytesText(kept.bytes), kept.ageMs === null ? '' : durationText(kept.ageMs)];
  const retention = kept === undefined ? 'unknown' : bounds.filter((bound) => bound !== '').join(', ') || 'all is kept';
  const tour = scrub.endsMs === null ? 'none' : `until ${timeText(scrub.endsMs)}`;
  const level =
    log.level < node.newestLevel ? `${log.level}, and this node knows ${node.newestLevel}: loglog upgrade status` : `${log.level}`;
  const lines: [string, string][] = [
    ['Level', level],
    ['Offsets', `${log.start} to ${log.commit} committed, ${log.tail} ordered`],
    ['Size', `${bytesText(segments.bytes)} in ${segments.sealed + 1} segments`],
    ['Kept', retention],
    ['Its time', timeText(log.timeMs)],
    ['Sealed', seals.why === null ? `up to ${seals.end}` : `up to ${seals.end}; ${seals.why}`],
    ['Scrub', `${tour}, ${bytesText(scrub.readBytes)} read`],
    [
      'Damage',
      scrub.damaged === 0 ? `none known; ${scrub.healed} segments healed` : scrub.segments.map(({ sentence }) => sentence).join('; '),
    ],
    ['Clients', `${clients.connections} connections to node ${node.id}`],
  ];
  byId('log', HTMLDListElement).replaceChildren(...lines.flatMap(([name, value]) => [element('dt', name), element('dd', value)]));
}

function showHistory(): void {
  if (history === undefined) return;
  const span = history.spans[Number(spanChoice.value)];
  if (span !== undefined) charts.show(span);
  const lines = history.events
    .toReversed()
    .map(({ atMs, level, text }) => element('li', `${timeText(atMs)} ${level === 'info' ? '' : `${level}: `}${text}`));
  byId('events', HTMLOListElement).replaceChildren(...lines);
}

function showHealth(own: NodeStatus, others: readonly NodeStatus[]): void {
  const { state, sentence, reasons, command } = healthOf(own, others, Date.now());
  // A reader of screens says it when it changes.
  if (health.textContent !== sentence) health.textContent = sentence;
  health.className = state;
  document.title = `${state === 'healthy' ? '' : `${state}: `}LogLog node ${own.node.id}`;
  const lines = reasons.map((reason) => element('span', `${reason}\n`));
  advice.replaceChildren(...lines, ...(command === undefined ? [] : ['Type: ', element('code', command)]));
  byId('footer', HTMLParagraphElement).textContent =
    `Cluster ${own.clusterId}, as node ${own.node.id} at ${own.node.url} sees it, at ${timeText(Date.now())}`;
}

/** Where the node that is chosen is asked; one that leads says most. */
function chosen(all: readonly NodeStatus[]): URL {
  const ids = all.map(({ node }) => String(node.id)).toSorted();
  const leader = all.find(({ node }) => node.role === 'leader') ?? all[0];
  const before = nodeChoice.options.length === 0 ? String(leader?.node.id) : nodeChoice.value;
  if (ids.join() !== Array.from(nodeChoice.options, ({ value }) => value).join()) {
    nodeChoice.replaceChildren(...ids.map((id) => element('option', id)));
    nodeChoice.value = ids.includes(before) ? before : String(leader?.node.id);
  }
  const found = all.find(({ node }) => String(node.id) === nodeChoice.value);
  return found === undefined || found === all[0] ? BASE : pagesOf(found.node.url);
}

/** Where a node's pages are that clients reach at `url`. */
const pagesOf = (url: string): URL => new URL(`${url.replace(/^ws/, 'http').replace(/\/$/, '')}/`);

async function look(): Promise<void> {
  const own = await facts<NodeStatus>(BASE, 'status');
  const elsewhere = own.cluster.nodes.filter(({ isSelf }) => !isSelf);
  const asked = elsewhere.map(({ url }) => facts<NodeStatus>(pagesOf(url), 'status'));
  const others = (await Promise.allSettled(asked)).flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  history = await facts<NodeHistory>(chosen([own, ...others]), 'history');
  tokenForm.hidden = true;
  main.hidden = false;
  showHealth(own, others);
  showNodes(own, [own, ...others]);
  actions.show(own, scopes);
  showHistory();
  const isServed = own.mirror === null && own.node.leader !== null;
  const [retention, consumers] = await Promise.all([kept(own), isServed ? consumersOf(connected, PATIENCE_MS) : undefined]);
  showLog(own, retention);
  showConsumers(consumers);
}

/** How much is kept, as far as it is told to this page. */
async function kept({ mirror, node }: NodeStatus): Promise<LogRetention | undefined> {
  if (mirror !== null || node.leader === null) return undefined;
  try {
    return await (await connected()).retention({ timeoutMs: PATIENCE_MS });
  } catch {
    return undefined;
  }
}

async function lookOn(): Promise<void> {
  try {
    await look();
  } catch (thrown) {
    if (thrown instanceof Unauthenticated) {
      tokenForm.hidden = false;
      main.hidden = true;
      health.className = '';
      health.textContent = 'This node shows what it knows to those who have a token';
      advice.replaceChildren();
      if (token() !== undefined) {
        sessionStorage.removeItem(TOKEN);
        say(byId('token-fault', HTMLOutputElement), 'this token does not hold here: loglog token list shows those that do', true);
      }
      return;
    }
    health.className = 'down';
    health.textContent = 'This node does not answer';
    advice.replaceChildren(thrown instanceof Error ? `${thrown.message}\n` : '', 'What is below is of before. It is asked again.');
  }
  setTimeout(() => void lookOn(), LOOK_MS);
}

tokenForm.addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, byId('token-text', HTMLInputElement).value.trim());
  byId('token-text', HTMLInputElement).value = '';
  say(byId('token-fault', HTMLOutputElement), '');
  void lookOn();
});
spanChoice.addEventListener('change', showHistory);
void lookOn();
