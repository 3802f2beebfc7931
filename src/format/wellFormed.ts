// Whether control entries have payloads of their kind.

import {
  KIND_ACCESS,
  KIND_CONFIGURATION,
  KIND_CONTINUED,
  KIND_LEVEL,
  KIND_POLICY,
  KIND_POSITION,
  KIND_SEAL,
  KIND_SESSION,
  KIND_STATE,
  KIND_TIME,
  KIND_TRIM,
} from '../../assembly/layout.ts';
import { readAccess } from './access.ts';
import { readConfiguration } from './configuration.ts';
import { readConsumerChanges } from './consumers.ts';
import { readLevel, readPolicy, readSeal, readTime, readTrim } from './controlEntries.ts';
import { readSession } from './sessions.ts';
import { readState } from './stateEntry.ts';

/** Whether the payload at `at` of an entry of `kind` is what entries of that kind have; true for kinds that are not of this file. */
export function isWellFormed(view: DataView, at: number, kind: number, bytes: number): boolean {
  switch (kind & ~KIND_CONTINUED) {
    case KIND_CONFIGURATION:
      return readConfiguration(view, at, bytes) !== undefined;
    case KIND_TRIM:
      return readTrim(view, at, bytes) !== undefined;
    case KIND_TIME:
      return readTime(view, at, bytes) !== undefined;
    case KIND_STATE:
      return readState(view, at, bytes) !== undefined;
    case KIND_SEAL:
      return readSeal(view, at, bytes) !== undefined;
    case KIND_LEVEL:
      return readLevel(view, at, bytes) !== undefined;
    case KIND_POLICY:
      return readPolicy(view, at, bytes) !== undefined;
    case KIND_ACCESS:
      return readAccess(view, at, bytes) !== undefined;
    case KIND_SESSION:
      return readSession(view, at, bytes, (kind & KIND_CONTINUED) !== 0) !== undefined;
    case KIND_POSITION:
      return readConsumerChanges(view, at, bytes) !== undefined;
    default:
      return true;
  }
}
