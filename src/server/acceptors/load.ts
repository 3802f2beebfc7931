// Which acceptor a node has: uWebSockets.js where its binary loads, otherwise `ws`. Each is loaded only where it is used.

import { LogError } from '../../core/errors.ts';
import type { AcceptorChoice } from '../../core/options.ts';
import { MAX_HTTP_HEAD_BYTES } from '../../core/servingLimits.ts';
import type { MakeAcceptor } from '../acceptor.ts';

/** What stands before and after the reason in what the package throws. */
const PACKAGED = /\n\n(?:Error: )?(.*)/;

/** How much of a request's head uWebSockets.js takes: it reads this from the environment while it is loaded. */
const HEAD_SIZE = 'UWS_HTTP_MAX_HEADERS_SIZE';

async function loadUws(): Promise<MakeAcceptor> {
  const given = process.env[HEAD_SIZE];
  process.env[HEAD_SIZE] = given ?? String(MAX_HTTP_HEAD_BYTES);
  try {
    // One after the other: imports of one module keep no order between what is bundled and what is not.
    await import('./uwsBinary.ts');
    const { UwsAcceptor } = await import('./uws.ts');
    return (options, events) => new UwsAcceptor(options, events);
  } finally {
    // It is no business of the programs that this one starts.
    if (given === undefined) delete process.env[HEAD_SIZE];
  }
}

async function loadWs(): Promise<MakeAcceptor> {
  const { WsAcceptor } = await import('./ws.ts');
  return (options, events) => new WsAcceptor(options, events);
}

/** Why uWebSockets.js cannot be loaded, in a sentence's middle. */
function whyNot(thrown: unknown): string {
  const { version, platform, arch } = process;
  const [, reason = String(thrown).split('\n', 1)[0]] = PACKAGED.exec(String(thrown)) ?? [];
  return `this is Node ${version} on ${platform} ${arch}, for which uWebSockets.js has no binary (${reason})`;
}

/**
 * Loads the acceptor that was chosen. Rejects with a LogError `USAGE` where it is uWebSockets.js and cannot be loaded; `inform` is told where it
 * would be, and is not. `called`: what the option is called where it was given.
 */
export async function loadAcceptor(choice: AcceptorChoice, inform: (sentence: string) => void, called: string): Promise<MakeAcceptor> {
  if (choice === 'ws') return loadWs();
  try {
    return await loadUws();
  } catch (thrown) {
    if (choice === 'auto') {
      inform(`clients are served by ws, which takes more processor time than uWebSockets.js: ${whyNot(thrown)}`);
      return loadWs();
    }
    throw new LogError(
      'USAGE',
      `${called} uws needs uWebSockets.js with a binary for this Node and machine; the one that comes with this program has those for Node 20 and 22 on Linux with glibc 2.27 or newer: ${whyNot(thrown)}. Leave ${called} out, and clients are served by ws; docs/INSTALL.md, "Where it runs", names a package with newer binaries`,
    );
  }
}
