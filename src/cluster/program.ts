// The program that a child node is: the command `loglog` of this build.

import { fileURLToPath } from 'node:url';

/** Path of a compiled file, by its path in src/. Tests run the sources, and their nodes what was built. */
export function compiled(path: string): string {
  return fileURLToPath(new URL(`${import.meta.url.endsWith('.ts') ? '../../dist/src/' : '../'}${path}`, import.meta.url));
}

/** Path of the compiled command. */
export const LOGLOG = compiled('program/main.js');

/**
 * A flag of `loglog serve`: stop, as after SIGTERM, when standard input ends. Whoever starts a node holds the other end of its standard
 * input, and writes nothing there. However the starter ends, also by SIGKILL, the kernel closes that end.
 */
export const STOP_WITH_STDIN = '--stop-with-stdin';

/** Arguments of `loglog` for a child node with `flags`. */
export function serveArgs(flags: readonly string[]): readonly string[] {
  return ['serve', ...flags, '--json', STOP_WITH_STDIN];
}
