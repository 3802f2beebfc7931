// The named consumers whose positions the log keeps, those that lack most first.

import type { LogClient } from '../client/browser.ts';
import type { NamedConsumer } from '../client/consumers/nodeStore.ts';
import { byId, row } from './dom.ts';
import { bytesText, timeText } from './texts.ts';

/** Rows that are shown; the command shows all. */
const MAX_CONSUMERS = 100;

/** All consumers, as far as they are told to this page: undefined for a log that keeps none, a token without the scope, or while nobody leads. */
export async function consumersOf(client: () => Promise<LogClient>, timeoutMs: number): Promise<readonly NamedConsumer[] | undefined> {
  try {
    return await (await client()).consumers({ timeoutMs });
  } catch {
    return undefined;
  }
}

/** Shows them; where there are none, or it is not known, nothing. */
export function showConsumers(consumers: readonly NamedConsumer[] | undefined): void {
  const all = (consumers ?? []).toSorted((a, b) => b.lagBytes - a.lagBytes || (a.name < b.name ? -1 : 1));
  byId('consumers-part', HTMLElement).hidden = all.length === 0;
  const rows = all
    .slice(0, MAX_CONSUMERS)
    .map(({ name, position, lagBytes, changedMs }) =>
      row([name, position === null ? 'none yet' : String(position), bytesText(lagBytes), timeText(changedMs)]),
    );
  const more = all.length > MAX_CONSUMERS ? [row([`and ${all.length - MAX_CONSUMERS} more: loglog consumer list`, '', '', ''])] : [];
  byId('consumers', HTMLTableElement).replaceChildren(row(['Consumer', 'Position', 'Lacks', 'Changed'], 'th'), ...rows, ...more);
}
