// An append of the application, as an operation: the values of its options checked, its signal watched.

import { ENTRY_OVERHEAD_BYTES } from '../../../assembly/layout.ts';
import { APPEND_CONDITIONAL, APPEND_RECEIVED } from '../../protocol/client.ts';
import { abortedAppend, offAbort, onAbort } from '../aborts.ts';
import { type LogId, placeIn } from '../bookmark.ts';
import { checkAck, checkTerm } from '../checks.ts';
import type { Ack, AppendOptions } from '../options.ts';
import type { Operation } from './message.ts';

/** Who waits for an append; `what` is what its errors call it. */
export type AppendCaller = Pick<Operation, 'resolve' | 'resolveBatch' | 'reject'> & { readonly what: string };

/** What the client itself adds. */
interface Defaults {
  readonly ack: Ack;
  readonly log: LogId;
}

/** Throws TypeError or RangeError for options that cannot be meant. The signal is left to {@link withSignal}. */
export function operationOf(payloads: readonly Uint8Array[], options: AppendOptions, caller: AppendCaller, defaults: Defaults): Operation {
  const ack = options.ack === undefined ? defaults.ack : checkAck(options.ack);
  const isConditional = options.expectedEnd !== undefined;
  if (options.expectedTerm !== undefined && !isConditional) throw new TypeError('expectedTerm goes with an expectedEnd');
  return {
    payloads,
    entryBytes: payloads.reduce((sum, { length }) => sum + length + ENTRY_OVERHEAD_BYTES, 0),
    flags: (ack === 'received' ? APPEND_RECEIVED : 0) | (isConditional ? APPEND_CONDITIONAL : 0),
    expectedEnd: isConditional ? placeIn(defaults.log, 'expectedEnd', options.expectedEnd) : 0,
    expectedTerm: options.expectedTerm === undefined ? 0 : checkTerm('expectedTerm', options.expectedTerm),
    link: undefined,
    isAlone: isConditional || caller.resolveBatch !== undefined,
    resolve: caller.resolve,
    resolveBatch: caller.resolveBatch,
    reject: caller.reject,
    message: undefined,
  };
}

/** The same operation, given up when `signal` is aborted before it is settled. Throws AbortedError when the signal is already. */
export function withSignal(operation: Operation, signal: AbortSignal, what: string, abort: (operation: Operation) => void): Operation {
  if (signal.aborted) throw abortedAppend(what, signal, 'failed');
  const { resolve, resolveBatch, reject } = operation;
  const giveUp = (): void => abort(watched);
  const unwatch = (): void => offAbort(signal, giveUp);
  const watched: Operation = {
    ...operation,
    resolve(receipt) {
      unwatch();
      resolve(receipt);
    },
    resolveBatch:
      resolveBatch &&
      ((receipt) => {
        unwatch();
        resolveBatch(receipt);
      }),
    reject(error) {
      unwatch();
      reject(error);
    },
  };
  onAbort(signal, giveUp);
  return watched;
}
