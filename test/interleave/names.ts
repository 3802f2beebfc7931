// What the words are called, for traces.

import { PEER, peerAt, SIGNAL, SLOT, STATE, WORD } from '../../src/memory/map.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import type { Place } from './operations.ts';

/** A function that names the words of `memory`, and leaves the names of ghosts as they are. */
export function namesOf({ map }: TailMemory): (at: Place) => string {
  const names = new Map<Place, string>();
  for (const [name, at] of Object.entries(WORD)) names.set(at, name);
  for (const [name, at] of Object.entries(SIGNAL)) names.set(at, `signal ${name}`);
  for (const [name, at] of Object.entries(STATE)) names.set(at, name === 'ROLE' ? 'state ROLE' : name);
  for (let slot = 0; slot < map.shape.slots; slot += 1) {
    for (const [name, field] of Object.entries(SLOT)) names.set(map.descriptorAt(slot) + field, `${name} of slot ${slot}`);
  }
  for (let id = 1; id <= 7; id += 1)
    for (const [name, field] of Object.entries(PEER)) names.set(peerAt(id) + field, `${name} of node ${id}`);
  return (at) => names.get(at) ?? (typeof at === 'string' ? at : `the word at ${at}`);
}
