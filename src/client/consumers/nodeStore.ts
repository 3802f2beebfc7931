// The store that a consumer has by default: the log's nodes keep its position, in the log itself, so it is as durable as what it is about, and goes where the log goes.

import { LogError } from '../../core/errors.ts';
import { NO_INSTANCE } from '../../core/ids.ts';
import type { ConsumerChange } from '../../format/consumers.ts';
import type { ConsumersAnswer } from '../../protocol/consumers.ts';
import { type AskLeaderPorts, askLeader } from '../askLeader.ts';
import { type LogId, makeBookmark, placeIn } from '../bookmark.ts';
import type { PositionLease, PositionStore } from './store.ts';

/** A consumer, as the log has it. */
export interface NamedConsumer {
  readonly name: string;
  /** Everything before this log offset is committed; null: nothing is yet. */
  readonly position: number | null;
  /** Bytes of the log up to the end of the last entry that is committed there, of which the consumer has not committed that it handled them. */
  readonly lagBytes: number;
  /** When it was taken, or committed last, by the log's time, in Unix milliseconds; null: the log had no time yet. */
  readonly changedMs: number | null;
}

export interface ConsumerAsk extends AskLeaderPorts {
  /** Which log it is, as the client knows it. */
  readonly log: LogId;
  readonly timeoutMs: number;
}

/** How a client asks for consumers. Which log it is, it may learn later. */
export function consumerAsk(client: { readonly asks: AskLeaderPorts; readonly log: LogId }, timeoutMs: number): ConsumerAsk {
  return {
    ...client.asks,
    timeoutMs,
    get log() {
      return client.log;
    },
  };
}

/** Asks the leader for all consumers. Rejects with what it says, UNREACHABLE, NOT_LEADER, TIMEOUT, CLOSED. */
export async function listConsumers(ports: ConsumerAsk): Promise<readonly NamedConsumer[]> {
  const answer = await askLeader(ports, {
    what: 'the list of consumers',
    timeoutMs: ports.timeoutMs,
    ask: (connection) => connection.questions.consumers(undefined),
  });
  const { start, dataEnd } = answer;
  return answer.consumers.map(({ name, position, timeMs }) => ({
    name,
    position: position ?? null,
    lagBytes: Math.max(0, dataEnd - Math.max(start, position ?? start)),
    changedMs: timeMs === 0 ? null : timeMs,
  }));
}

/** Asks the leader for a change of a consumer. Rejects as {@link listConsumers}, and with FENCED, GENERATION_CHANGED, UNSUPPORTED, TOO_MANY_CONSUMERS. */
export function changeConsumer(ports: ConsumerAsk, what: string, change: ConsumerChange, generation?: string): Promise<ConsumersAnswer> {
  const question = { change, generation: generation ?? ports.log.generation ?? NO_INSTANCE };
  return askLeader(ports, { what, timeoutMs: ports.timeoutMs, ask: (connection) => connection.questions.consumers(question) });
}

/** Positions in the log itself. */
export function nodeStore(ports: ConsumerAsk): PositionStore {
  return { take: (name) => takeFromNodes(ports, name) };
}

async function takeFromNodes(ports: ConsumerAsk, name: string): Promise<PositionLease> {
  const { clusterId } = ports.log;
  // In another generation than the one that the answer names the fence means nothing.
  const { consumers, generation } = await changeConsumer(ports, `the claim of ${JSON.stringify(name)}`, { what: 'claim', name });
  const [consumer] = consumers;
  if (consumer === undefined || generation === undefined)
    throw new LogError('PROTOCOL', 'the node has answered a claim without saying of what');
  const { fence, position } = consumer;
  return {
    bookmark: position === undefined ? undefined : makeBookmark({ clusterId, generation }, position),
    save: async (bookmark) => {
      const change = { what: 'commit', fence, position: placeIn(ports.log, 'the position', bookmark) } as const;
      await changeConsumer(ports, `the commit of consumer ${JSON.stringify(name)}`, change, generation);
    },
  };
}
