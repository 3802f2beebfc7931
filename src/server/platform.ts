// Whether a node can run here at all: uWebSockets.js is a binary, which there is for some systems only.

import './acceptors/uwsHeaderBytes.ts';
import { LogError } from '../core/errors.ts';

/** Rejects USAGE with what a node needs, where its binary cannot be loaded. */
export async function checkPlatform(): Promise<void> {
  try {
    await import('uWebSockets.js');
  } catch (thrown) {
    const { version, platform, arch } = process;
    const [, reason = String(thrown)] = /\n\n(?:Error: )?(.*)/.exec(String(thrown)) ?? [];
    throw new LogError(
      'USAGE',
      `a node needs Node 20.19 or newer of 20, or 22, on Linux with glibc: this is Node ${version} on ${platform} ${arch}, for which uWebSockets.js has no binary (${reason}). Run nodes with Node 22; clients run here as they are`,
    );
  }
}
