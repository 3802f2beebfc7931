// A guide of docs/guides, walked as a new user would: in an empty folder beside a checkout, every block of code in it in order. What a block says that
// it prints is what it prints; a block of a kind that is not known here is a fault, so that no code in a guide goes unrun.
//
//   ```sh                 run by bash, which must end with 0; what it prints is what the ```text after it says, where there is one
//   ```sh stays WORDS     a second terminal: it goes on, and has printed a line with WORDS before the guide does; WORDS such as NAME= set that variable
//   ```js NAME            (json, html) saved as NAME, which the text before names
//   ```console            shown only: for other machines
//   <!-- kill -->, <!-- stop -->   what stays is killed, or told to stop, by which it ends with 0
//
// In ```text `…` stands for anything.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

const PATIENCE_MS = 180_000;

export interface Block {
  readonly line: number;
  readonly kind: 'code' | 'directive';
  /** The words after the fence, or of the directive. */
  readonly info: string;
  readonly text: string;
  /** The paragraph before it. */
  readonly before: string;
}

/** The blocks of code of a guide, and its directives, in order. */
export function blocksOf(markdown: string): readonly Block[] {
  const blocks: Block[] = [];
  let before = '';
  for (const match of markdown.matchAll(/^```(.*)\n([\s\S]*?)^```$|^<!-- (\w+) -->$|^.+$/gm)) {
    const [all, info, text = '', directive] = match;
    const line = markdown.slice(0, match.index).split('\n').length;
    if (info === undefined && directive === undefined) before = all;
    else blocks.push({ line, kind: info === undefined ? 'directive' : 'code', info: info ?? directive ?? '', text, before });
  }
  return blocks;
}

/** What a text with `…` in it fits. */
export function patternOf(text: string): RegExp {
  const parts = text
    .trim()
    .split('…')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[\\s\\S]*?')}$`);
}

interface Staying {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
}

/** Runs a command that stays until it ends, is sent a signal that its input names, or its input ends, as when this process dies. */
const STAYS = `
exec 3<&0
( exec COMMAND ) < /dev/null &
child=$!
( while read -r signal <&3; do kill -s "$signal" "$child"; done; kill -s KILL "$child" ) > /dev/null 2>&1 &
reader=$!
wait "$child" && code=0 || code=$?
kill "$reader"
exit "$code"
`;

/** Prints what a script leaves to the next one. */
const EXPORTS = `
printf '\\n' >&2
env | { grep -E '^LOGLOG_' || true; } | sed 's/^/=/' >&2
`;

export interface WalkOptions {
  /** Empty, with the checkout as `loglog` beside it. */
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Variables of LogLog that are set at first. */
  readonly variables: Readonly<Record<string, string>>;
  /** What stands in the guide, and what is used in its place: ports that are free. */
  readonly places: ReadonlyMap<string, string>;
}

export class Walk {
  readonly #options: WalkOptions;
  #variables: Record<string, string>;
  readonly #staying: Staying[] = [];
  /** What the scripts since the last ```text printed. */
  #printed = '';

  constructor(options: WalkOptions) {
    this.#options = options;
    this.#variables = { ...options.variables };
  }

  async walk(markdown: string): Promise<void> {
    for (const block of blocksOf(markdown)) {
      try {
        await this.#step(block);
      } catch (thrown) {
        throw new Error(`line ${block.line}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
      }
    }
  }

  /** Ends what stays. */
  async end(): Promise<void> {
    const all = this.#staying.splice(0);
    // Told, not killed: a cluster ends its nodes before it is gone.
    for (const { child } of all) child.stdin?.write('TERM\n');
    const timer = setTimeout(() => {
      for (const { child } of all) child.stdin?.end();
    }, PATIENCE_MS);
    await Promise.all(all.map(({ ended }) => ended));
    clearTimeout(timer);
  }

  #here(text: string): string {
    let here = text;
    for (const [there, place] of this.#options.places) here = here.replaceAll(there, place);
    return here;
  }

  async #step({ kind, info, text, before }: Block): Promise<void> {
    const [language = '', word = '', ...words] = info.split(' ');
    if (kind === 'directive') await this.#endLast(info);
    else if (language === 'sh' && word === 'stays') await this.#stay(text, words.join(' '));
    else if (language === 'sh' && word === '') await this.#run(text);
    else if (language === 'text' && word === '') this.#compare(text);
    else if (['js', 'json', 'html'].includes(language) && word !== '') this.#save(word, text, before);
    else if (info !== 'console') throw new Error(`a block of "${info}" is not run`);
  }

  #save(name: string, text: string, before: string): void {
    if (!before.includes(`\`${name}\``)) throw new Error(`the text before does not say that this is ${name}`);
    writeFileSync(join(this.#options.folder, name), this.#here(text));
  }

  #compare(text: string): void {
    const printed = this.#printed.trim();
    if (!patternOf(this.#here(text)).test(printed))
      throw new Error(`what was printed is not what is said:\n${printed}\n--- is said:\n${text}`);
    this.#printed = '';
  }

  #start(script: string): ChildProcess {
    const { folder, environment } = this.#options;
    const child = spawn('bash', ['--norc', '-euo', 'pipefail', '-c', script], {
      cwd: folder,
      env: { ...environment, ...this.#variables },
      stdio: 'pipe',
    });
    // What has ended already hears nothing any more.
    child.stdin?.on('error', () => undefined);
    return child;
  }

  async #run(text: string): Promise<void> {
    const child = this.#start(`${this.#here(text)}${EXPORTS}`);
    child.stdin?.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      this.#printed += part;
    });
    child.stderr?.setEncoding('utf8').on('data', (part: string) => {
      stderr += part;
    });
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    clearTimeout(timer);
    if (code !== 0) throw new Error(`ended with ${code}:\n${text}\n${this.#printed}${stderr}`);
    // What it exports holds in its terminal.
    this.#variables = Object.fromEntries(Array.from(stderr.matchAll(/^=(\w+)=(.*)$/gm), ([, name = '', value = '']) => [name, value]));
    // That is npm's own.
    if (/^npm /m.test(text)) this.#printed = '';
  }

  async #stay(text: string, words: string): Promise<void> {
    this.#printed = '';
    const child = this.#start(STAYS.replace('COMMAND', () => this.#here(text).trim()));
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    this.#staying.push({ child, ended });
    let said = '';
    const isThere = new Promise<'said'>((resolve) => {
      for (const stream of [child.stdout, child.stderr])
        stream?.setEncoding('utf8').on('data', (part: string) => {
          said += part;
          // A whole line of it.
          if (said.slice(said.indexOf(words)).includes('\n') && said.includes(words)) resolve('said');
        });
    });
    const timer = setTimeout(() => child.stdin?.end(), PATIENCE_MS);
    const what = await Promise.race([isThere, ended]);
    clearTimeout(timer);
    if (what !== 'said') throw new Error(`ended with ${what} before it said "${words}":\n${said}`);
    const [, name, value] = /^\s*export (\w+)=(\S+)$/m.exec(said) ?? [];
    if (words.endsWith('=') && name !== undefined && value !== undefined) this.#variables[name] = value;
  }

  async #endLast(how: string): Promise<void> {
    const last = this.#staying.pop();
    if (last === undefined) throw new Error(`nothing stays that could be ended (${how})`);
    last.child.stdin?.write(how === 'kill' ? 'KILL\n' : 'TERM\n');
    const timer = setTimeout(() => last.child.stdin?.end(), PATIENCE_MS);
    const code = await last.ended;
    clearTimeout(timer);
    if (how === 'stop' && code !== 0) throw new Error(`ended with ${code} when it was told to stop`);
  }
}

/** A folder with `node`, `npx` and `npm` that take the packages from `packages`, by name, and ask no registry: `npm install` links them. */
export function makeTools(folder: string, packages: Readonly<Record<string, string>>, version: string): string {
  const tools = join(folder, 'tools');
  mkdirSync(tools);
  const cases = Object.entries(packages).map(([name, path]) => `*/loglog/dist/packages/${name}-${version}.tgz) link ${name} '${path}' ;;`);
  const npm = `#!/bin/bash
link() { mkdir -p node_modules/.bin; ln -sfn "$2" "node_modules/$1"; }
case "$1" in
  init) echo '{ "private": true }' > package.json ;;
  install) shift; for one; do case "$one" in
    ${cases.join('\n    ')}
    *) echo "the guide installs $one, and version ${version} of ${Object.keys(packages).join(' and ')} is here" >&2; exit 1 ;;
  esac; done ;;
  *) echo "npm $1 is not of the guides" >&2; exit 1 ;;
esac
`;
  const npx = `#!/bin/bash
[ "$1" = loglog ] && [ -e node_modules/loglogd ] || { echo "npx $1 would fetch a stranger's package" >&2; exit 1; }
shift
# A busy machine is no reason to fail: what a guide says is not how soon.
case "$1" in append|read|status|retention|trim|token|upgrade) set -- "$@" --timeout 170 ;; esac
exec node node_modules/loglogd/dist/src/program/main.js "$@"
`;
  for (const [name, script] of Object.entries({ npm, npx })) writeFileSync(join(tools, name), script, { mode: 0o755 });
  symlinkSync(process.execPath, join(tools, 'node'));
  return tools;
}

/** The environment of somebody who has nothing set up but `tools`. */
export function newcomer(tools: string, home: string): NodeJS.ProcessEnv {
  const { PATH = '', TMPDIR } = process.env;
  const path = [
    tools,
    ...PATH.split(delimiter).filter((folder) => folder !== dirname(process.execPath) && !folder.includes('node_modules')),
  ];
  return { PATH: path.join(delimiter), HOME: home, ...(TMPDIR === undefined ? {} : { TMPDIR }) };
}

export const versionOf = (root: string): string =>
  (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
