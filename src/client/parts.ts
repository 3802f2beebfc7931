// What a client is made of: its surroundings, its settings, and the memory in which it builds messages.

import type { Platform } from './nodes/transport.ts';
import type { Settings } from './options.ts';
import { SLOT_BYTES, Workspace } from './wasm.ts';

/** Slots for the largest entry there is, whose message is a little larger than 64 slots. */
export const MIN_SLOTS = 66;

export interface ClientParts {
  readonly platform: Platform;
  readonly urls: readonly string[];
  readonly settings: Settings;
  readonly workspace: Workspace;
}

export async function clientParts(platform: Platform, urls: readonly string[], settings: Settings): Promise<ClientParts> {
  // Slots may be half empty when entries are just over half a slot large, hence twice as many as the bytes need.
  const slotCount = Math.max(MIN_SLOTS, Math.ceil(settings.maxInFlightBytes / SLOT_BYTES) * 2);
  const workspace = await Workspace.create(slotCount);
  if (settings.tls === undefined) return { platform, urls, settings, workspace };
  if (platform.secure === undefined) {
    throw new TypeError('tls has no effect here: browsers take certificates from their own store, and show what their users choose');
  }
  const { open, nodes, others } = platform.secure(settings.tls);
  return { platform: { ...platform, open }, urls, settings: { ...settings, fetches: { nodes, others } }, workspace };
}
