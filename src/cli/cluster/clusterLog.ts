// What a local cluster writes to stderr: the logs of its nodes, each line with the node that it is from, and its own sentences between
// them. For people with a prefix, in colour on a terminal; for programs as JSON lines with a field `node`.

import { parseLogLine } from '../../cluster/logLine.ts';
import { humanLine } from '../logLines.ts';
import { say } from '../output.ts';
import { isStderrTerminal } from '../stderr.ts';

const COLOURS = [36, 33, 35, 32, 34, 31, 96];
const INFO = 30;
const WARNING = 40;

/** Colours are for terminals, unless NO_COLOR says otherwise (no-color.org). */
export function isColoured(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && (env.NO_COLOR ?? '') === '';
}

export class ClusterLog {
  readonly #json: boolean;
  readonly #coloured: boolean;

  constructor(json: boolean, coloured = isColoured({ isTTY: isStderrTerminal }, process.env)) {
    this.#json = json;
    this.#coloured = coloured;
  }

  /** One line of a node's stderr. */
  nodeLine(id: number, line: string): void {
    const parsed = parseLogLine(line);
    if (!this.#json) say(parsed === undefined ? line : humanLine(parsed), `${this.#prefix(id)} `);
    else if (parsed !== undefined) say(JSON.stringify({ ...parsed, node: id }));
    else say(JSON.stringify({ level: WARNING, time: Date.now(), msg: line, node: id }));
  }

  /** A sentence about a node. */
  aboutNode(id: number, sentence: string): void {
    if (this.#json) say(JSON.stringify({ level: WARNING, time: Date.now(), msg: sentence, node: id }));
    else for (const line of sentence.split('\n')) say(line, `${this.#prefix(id)} `);
  }

  /** A sentence about the cluster. */
  info(sentence: string): void {
    say(this.#json ? JSON.stringify({ level: INFO, time: Date.now(), msg: sentence }) : sentence);
  }

  #prefix(id: number): string {
    const colour = COLOURS[(id - 1) % COLOURS.length];
    return this.#coloured ? `\u001b[${colour}m[${id}]\u001b[0m` : `[${id}]`;
  }
}
