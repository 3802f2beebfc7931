// The state of a log at its end, folded from its control entries as they are copied: what the next state entry says.

import { KIND_STATE } from '../../assembly/layout.ts';
import type { EntryTerm } from '../core/ids.ts';
import type { Directory } from '../core/members.ts';
import { NO_ACCESS, tokensIn } from '../format/access.ts';
import { type LogMembers, NO_MEMBERS } from '../format/configuration.ts';
import { foldControl, UNTOLD } from '../format/controlFold.ts';
import { entryBytesOf, isData, kindOf } from '../format/entry.ts';
import { NO_SESSIONS } from '../format/sessions.ts';
import { type LogState, stateBytes, writeState } from '../format/stateEntry.ts';

export class StateFold {
  /** Its level is 0 while there was no state entry: a log of builds before them. */
  #state: LogState;
  #dataEnd: number;

  /** Goes on from `state`. */
  constructor(state: LogState = UNTOLD) {
    this.#state = state;
    this.#dataEnd = state.dataEnd;
  }

  /** The log's time, Unix ms; undefined while there was no state entry. */
  get timeMs(): number | undefined {
    return this.isKnown ? this.#state.timeMs : undefined;
  }

  get isKnown(): boolean {
    return this.#state.level > 0;
  }

  /** Folds the entry at `at` of `view`, whose word of kind and size is `kindSize`, at log offset `offset`. */
  absorb(view: DataView, at: number, kindSize: number, offset: number): void {
    if (isData(kindSize)) {
      this.#dataEnd = offset + entryBytesOf(kindSize);
      return;
    }
    this.#state = foldControl(this.#state, view, at, kindSize);
    if (kindOf(kindSize) === KIND_STATE) this.#dataEnd = this.#state.dataEnd;
  }

  /** How many tokens the log has. */
  get tokens(): number {
    return tokensIn(this.#state.access).size;
  }

  /**
   * The payload of a state entry after an entry of `before`, of the next generation, whose id is `generationId`; without tokens unless `keepsTokens`. Where
   * the log says which nodes it has, its only one from there on is `sole`, the directory that goes on with it: a voter, where that is reached is not known.
   */
  nextGeneration(before: EntryTerm, generationId: string, keepsTokens: boolean, sole: Directory): Uint8Array | undefined {
    if (!this.isKnown) return undefined;
    const generation = { number: this.#state.generation.number + 1, id: generationId };
    const access = keepsTokens ? this.#state.access : NO_ACCESS;
    const { members } = this.#state.nodes;
    const nodes: LogMembers =
      members.length === 0 ? NO_MEMBERS : { members: [{ ...sole, role: 'voter', host: '', port: 0, peerPort: 0 }], removed: [] };
    // Sessions are of the generation in which they were opened.
    const state: LogState = { ...this.#state, dataEnd: this.#dataEnd, before, generation, access, nodes, sessions: NO_SESSIONS };
    const payload = new Uint8Array(stateBytes(state));
    writeState(new DataView(payload.buffer), 0, state);
    return payload;
  }
}
