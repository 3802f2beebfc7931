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
import { asReached } from './reached.ts';
import { bytesText, durationText, exactText, msText, producersText, timeText } from './texts.ts';

/** Where this page is: a prefix that a proxy has put before it stays, with or without a slash at its end. */
const BASE = new URL(`${location.origin}${location.pathname.replace(/\/?$/, '/')}`);
/** The same for clients. */
const ADDRESS = BASE.href.replace(/^http/, 'ws').replace(/\/$/, '');
const LOOK_MS = 2000;
const PATIENCE_MS = 5000;
const TOKEN = 'loglog-token';

/** The node asks for a token, or another one; its message is empty where none was shown. */
class Refused extends Error {}
/** The node answered, and did not say what was asked for. */
class Withheld extends Error {}

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
  if (response.ok) {
    if (base === BASE && page === 'status') scopes = (response.headers.get('loglog-scopes') ?? '').split(',');
    return (await response.json()) as Fact;
  }
  const why = (await response.text()).trim();
  if (response.status === 401)
    throw new Refused(shown === undefined ? '' : 'this token does not hold here: loglog token list shows those that do');
  // Names that are not this node's get 403 as well, whatever is shown.
  if (response.status === 403 && /\bscope\b/.test(why)) throw new Refused(why);
  throw new Withheld(why || `HTTP ${response.status}${response.status === 503 ? ': it has not heard its leader for a while' : ''}`);
}

let client: Promise<LogClient> | undefined;

/** One client for all; made anew where it could not connect. */
function connected(): Promise<LogClient> {
  if (client !== undefined) return client;
  const made = connect(ADDRESS, { token: token() });
  client = made;
  made.catch(() => {
    if (client === made) client = undefined;
  });
  return made;
}

/** Another token is shown from now on: what the old one opened is no use, or not for long. */
function forgetClient(): void {
  client?.then(
    (old) => old.close(),
    () => undefined,
  );
  client = undefined;
  told = {};
}

// Not every browser lets the keyboard go to what scrolls.
for (const box of document.querySelectorAll<HTMLElement>('.wide, #events')) box.tabIndex = 0;

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

function showLog(own: NodeStatus, all: readonly NodeStatus[], kept: LogRetention | undefined): void {
  const { log, segments, seals, scrub, sessions, node } = own;
  const byNumber = all.toSorted((a, b) => a.node.id - b.node.id);
  const bounds =
    kept === undefined ? [] : [kept.bytes === null ? '' : bytesText(kept.bytes), kept.ageMs === null ? '' : exactText(kept.ageMs)];
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
    ['Producers', producersText(sessions)],
    ['Connections', byNumber.map((each) => `${each.clients.connections} to node ${each.node.id}`).join(', ')],
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

/** Shows how it is, unless `isOver`: then another look has begun meanwhile, with another token perhaps. */
async function look(isOver: () => boolean): Promise<void> {
  const own = asReached(await facts<NodeStatus>(BASE, 'status'), ADDRESS);
  const elsewhere = own.cluster.nodes.filter(({ isSelf }) => !isSelf);
  const asked = elsewhere.map(({ url }) => facts<NodeStatus>(pagesOf(url), 'status'));
  const others = (await Promise.allSettled(asked)).flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  // The node that is chosen may have gone just now: what is there of it stays.
  const remembered = await facts<NodeHistory>(chosen([own, ...others]), 'history').catch(() => history);
  if (isOver()) return;
  history = remembered;
  tokenForm.hidden = true;
  main.hidden = false;
  showHealth(own, others);
  showNodes(own, [own, ...others]);
  actions.show(own, scopes);
  showHistory();
  showLog(own, [own, ...others], told.retention);
  showConsumers(told.consumers);
  void askLog(own);
}

/** What the log itself told this page last. */
let told: { readonly retention?: LogRetention | undefined; readonly consumers?: Awaited<ReturnType<typeof consumersOf>> } = {};
let isLogAsked = false;

/** For the next look: a node that the client does not reach is no reason to show nothing of what others say. */
async function askLog({ mirror, node }: NodeStatus): Promise<void> {
  if (isLogAsked) return;
  isLogAsked = true;
  if (mirror === null && node.leader !== null) {
    const [retention, consumers] = await Promise.all([kept(), consumersOf(connected, PATIENCE_MS)]);
    told = { retention, consumers };
  } else told = {};
  isLogAsked = false;
}

/** How much is kept, as far as it is told to this page. */
async function kept(): Promise<LogRetention | undefined> {
  try {
    return await (await connected()).retention({ timeoutMs: PATIENCE_MS });
  } catch {
    return undefined;
  }
}

/** Looks by number: only the last one goes on. */
let lookCount = 0;

async function lookOn(): Promise<void> {
  lookCount += 1;
  const own = lookCount;
  const isOver = (): boolean => own !== lookCount;
  try {
    await look(isOver);
  } catch (thrown) {
    if (isOver()) return;
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    if (thrown instanceof Refused) {
      askForToken(why);
      return;
    }
    health.className = 'down';
    health.textContent = thrown instanceof Withheld ? 'This node answers, but does not say how it is' : 'This node does not answer';
    advice.replaceChildren(`${why}\n`, 'What is below is of before. It is asked again.');
  }
  if (!isOver()) setTimeout(() => void (isOver() || lookOn()), LOOK_MS);
}

/** `why` the one that was shown will not do; empty: none was. */
function askForToken(why: string): void {
  tokenForm.hidden = false;
  main.hidden = true;
  health.className = '';
  health.textContent = 'This node shows what it knows to those who have a token';
  advice.replaceChildren();
  sessionStorage.removeItem(TOKEN);
  forgetClient();
  if (why !== '') say(byId('token-fault', HTMLOutputElement), why, true);
}

tokenForm.addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, byId('token-text', HTMLInputElement).value.trim());
  byId('token-text', HTMLInputElement).value = '';
  say(byId('token-fault', HTMLOutputElement), '');
  forgetClient();
  void lookOn();
});
spanChoice.addEventListener('change', showHistory);
void lookOn();
