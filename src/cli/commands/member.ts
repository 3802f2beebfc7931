// `loglog member`: the nodes of a log, shown and changed while they run.

import { Command, InvalidArgumentError, Option } from 'commander';
import type {
  ChangeMembersOptions,
  LogClient,
  LogMembers,
  MemberAddress,
  MemberProgress,
  MembersChange,
  NewMember,
} from '../../client/index.ts';
import { isLogError, LogError } from '../../core/errors.ts';
import { MAX_NODE_ID } from '../../core/limits.ts';
import { addressOf } from '../../core/peers.ts';
import { commandTimeoutOption, jsonOption, parseInteger, urlOption, withExamples } from '../arguments.ts';
import { withClient } from '../connection.ts';
import { Quit } from '../exit.ts';
import { changeText, membersText, quorumText, startText, warningOf } from '../memberText.ts';
import { print, printJson, say } from '../output.ts';
import { Progress } from '../progress.ts';
import { onSignals, SIGNAL_NUMBERS, type StopSignal } from '../signals.ts';
import { isStderrTerminal } from '../stderr.ts';

interface CommonOptions {
  readonly url: readonly string[];
  /** In milliseconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

interface ChangeOptions extends CommonOptions {
  readonly dryRun?: boolean;
}

const MEMBER_FORM = 'ID@HOST:PORT/PEERPORT';
const MAX_PORT = 65_535;

function parseNewMember(text: string): NewMember {
  const parts = /^(\d+)@(?:\[([^\]]+)\]|([^:/[\]@]+)):(\d+)\/(\d+)$/.exec(text);
  const [, id, six, name, port, peerPort] = parts ?? [];
  const member = { id: Number(id), host: six ?? name ?? '', port: Number(port), peerPort: Number(peerPort) };
  const isPort = (value: number): boolean => value >= 1 && value <= MAX_PORT;
  if (parts === null || member.id < 1 || member.id > MAX_NODE_ID || !isPort(member.port) || !isPort(member.peerPort)) {
    // Without an at sign of its own: of what stands before the last one nothing is shown, because it may be a secret.
    throw new InvalidArgumentError(
      `It must be an id from 1 to ${MAX_NODE_ID}, an at sign, and where the node is: HOST:PORT/PEERPORT, its ports for clients and for the other nodes.`,
    );
  }
  return member;
}

const parseId = parseInteger(1, MAX_NODE_ID);

function parseIdOrMember(text: string): NewMember | number {
  return /^\d+$/.test(text) ? parseId(text) : parseNewMember(text);
}

/** Tells what is waited for: on one line of a terminal, otherwise whenever it is something else. */
class Waiting {
  readonly #progress = new Progress();
  #said = '';

  tell({ step, id, sentence }: MemberProgress): void {
    this.#progress.update(() => `loglog: waiting: ${sentence}`);
    if (isStderrTerminal) return;
    // How far it is would be a line each second.
    const said = step === 'joining' ? `${step} ${id}` : sentence;
    if (said !== this.#said) say(`loglog: waiting: ${sentence}`);
    this.#said = said;
  }

  done(): void {
    this.#progress.done();
  }
}

/** Runs a change, which a signal ends: what is in the log by then goes on. */
async function change(
  { url, timeout, json = false, dryRun = false }: ChangeOptions,
  work: (log: LogClient, options: ChangeMembersOptions) => Promise<MembersChange>,
  told: (change: MembersChange) => string,
): Promise<void> {
  const stop = new AbortController();
  let signal: StopSignal | undefined;
  onSignals((which) => {
    signal = which;
    stop.abort();
  });
  const waiting = new Waiting();
  try {
    await withClient(
      url,
      timeout,
      async (log) => {
        const options = {
          dryRun,
          timeoutMs: timeout,
          signal: stop.signal,
          onProgress: (progress: MemberProgress) => waiting.tell(progress),
        };
        const made = await work(log, options).finally(() => waiting.done());
        const { before, after, hasChanged } = made;
        const warning = warningOf(after);
        if (json) return printJson({ dryRun, hasChanged, before, after, ...(warning === '' ? {} : { warning }) });
        if (dryRun) return print([...changeText(made), 'nothing was changed'].join('\n'));
        if (warning !== '') say(`loglog: warning: ${warning}`);
        await print(`${told(made)}\n${quorumText(after)}`);
      },
      { signal: stop.signal },
    );
  } catch (thrown) {
    if (signal === undefined || !isLogError(thrown, 'ABORTED')) throw thrown;
    const isKnown = thrown.outcome === 'failed';
    say(`loglog: ${isKnown ? 'stopped; nothing was changed' : 'stopped waiting; what is in the log goes on: loglog member list'}`);
    throw new Quit(128 + SIGNAL_NUMBERS[signal]);
  }
}

async function runList({ url, timeout, json = false }: CommonOptions): Promise<void> {
  const set = await withClient(url, timeout, (log) => log.members({ timeoutMs: timeout }));
  await (json ? printJson(set) : print(membersText(set)));
}

/** What somebody has to do on another machine, before this waits for it. */
function sayStart(set: LogMembers, member: NewMember): void {
  const isThere = set.members.some(({ id, state }) => id === member.id && (state === 'current' || state === 'joining'));
  if (isThere) return;
  say(
    `loglog: on the machine of node ${member.id}, with an empty directory, and with the certificates or the secret of the others if they have any:`,
  );
  say(`  ${startText(set, member)}`);
}

async function runAdd(given: NewMember, { learner = false, ...options }: ChangeOptions & { readonly learner?: boolean }): Promise<void> {
  const member = { ...given, learner };
  await change(
    options,
    async (log, how) => {
      // What cannot be is refused before anybody goes to another machine.
      const talk = await log.addMember(member, { ...how, dryRun: true });
      sayStart(talk.before, member);
      return how.dryRun === true ? talk : log.addMember(member, how);
    },
    ({ hasChanged }) => {
      const what = learner ? 'a learner, and stays one' : 'a voter';
      return hasChanged ? `node ${member.id} was added, and is ${what}` : `node ${member.id} was in the set already, and is ${what}`;
    },
  );
}

async function runRemove(id: number, options: ChangeOptions): Promise<void> {
  await change(
    options,
    (log, how) => log.removeMember(id, how),
    () => `node ${id} was removed, for good: stop it; to bring it back, empty its directory and add it`,
  );
}

async function runReplace(old: number, next: NewMember | number, options: ChangeOptions): Promise<void> {
  const id = typeof next === 'number' ? next : next.id;
  if (id === old) {
    const sentence = `node ${old} cannot take its own place: if its disk is lost, start it with an empty directory and its old id`;
    throw new LogError('USAGE', sentence);
  }
  await change(
    options,
    async (log, how) => {
      const talk = await log.replaceMember(old, next, { ...how, dryRun: true });
      if (typeof next !== 'number') sayStart(talk.before, next);
      return how.dryRun === true ? talk : log.replaceMember(old, next, how);
    },
    () => `node ${id} is a voter in place of node ${old}, which was removed, for good`,
  );
}

async function runMove(address: MemberAddress, options: ChangeOptions): Promise<void> {
  await change(
    options,
    (log, how) => log.moveMember(address, how),
    () => `node ${address.id} is reached at ${addressOf(address.host, address.port)}/${address.peerPort} from now on`,
  );
}

async function runPromote(id: number, options: ChangeOptions): Promise<void> {
  await change(
    options,
    (log, how) => log.promoteMember(id, how),
    () => `node ${id} is a voter now`,
  );
}

async function runDemote(id: number, options: ChangeOptions): Promise<void> {
  await change(
    options,
    (log, how) => log.demoteMember(id, how),
    () => `node ${id} is a learner now: it is fed, and does not count`,
  );
}

function changing(command: Command): Command {
  return command
    .addOption(urlOption())
    .addOption(new Option('--dry-run', 'say what would come of it, and change nothing'))
    .addOption(commandTimeoutOption())
    .addOption(jsonOption('one JSON object'));
}

function addCommand(): Command {
  const command = new Command('add')
    .summary('add a node')
    .description(
      'add a node: says what to type on its machine, waits until it comes and has the log, and until it is a voter. Ctrl-C ends the wait, not what was begun: typed again, it goes on waiting',
    )
    .argument('<node>', `the node, ${MEMBER_FORM}: where clients and the other nodes reach it`, parseNewMember)
    .addOption(new Option('--learner', 'it is only fed, to serve reads, and never becomes a voter'));
  return withExamples(changing(command).action(runAdd), [
    ['loglog member add 4@10.0.0.4:7070/7170', 'a node that is to be a voter'],
    ['loglog member add 5@10.0.0.5:7070/7170 --learner', 'one that serves reads'],
    ['loglog member add 4@10.0.0.4:7070/7170 --dry-run', 'what would come of it'],
  ]);
}

function replaceCommand(): Command {
  const command = new Command('replace')
    .summary('put a node in the place of another one')
    .description(
      'put a node in the place of another one, which may be gone: adds the new one, waits until it is a voter, then removes the old one. A disk that was lost needs no command: start its node with an empty directory and its old id',
    )
    .argument('<old>', 'the id of the node that goes', parseId)
    .argument('<new>', `the node that comes, ${MEMBER_FORM}, or the id of a learner that is there`, parseIdOrMember);
  return withExamples(changing(command).action(runReplace), [
    ['loglog member replace 3 4@10.0.0.4:7070/7170', 'node 4 for node 3, whose machine is gone'],
    ['loglog member replace 3 5', 'node 5, a learner that has the log, for node 3'],
  ]);
}

function moveCommand(): Command {
  const command = new Command('move')
    .summary('say where a node is reached')
    .description(
      'say in the log where a node is reached from now on: after it was started at another address, or before. Nodes that were started with that node in their own --peers go by that until they are started again',
    )
    .argument('<node>', `the node, ${MEMBER_FORM}: where clients and the other nodes reach it`, parseNewMember);
  return withExamples(changing(command).action(runMove), [['loglog member move 4@10.0.1.4:7070/7170', 'node 4 has another address']]);
}

export function memberCommand(): Command {
  const list = new Command('list')
    .summary('the nodes of the log')
    .description('show the nodes of the log: what each is, how far it is, and how many may fail')
    .addOption(urlOption())
    .addOption(commandTimeoutOption())
    .addOption(jsonOption('one JSON object'))
    .action(runList);
  const byId = (name: string, summary: string, description: string, run: (id: number, options: ChangeOptions) => Promise<void>): Command =>
    changing(new Command(name).summary(summary).description(description).argument('<id>', 'the id of the node', parseId)).action(run);
  return withExamples(
    new Command('member')
      .summary('the nodes of the log, shown and changed')
      .description('show or change the nodes of the log, while they run'),
    [
      ['loglog member list', 'which there are, and how many may fail'],
      ['loglog member add 4@10.0.0.4:7070/7170', 'another one'],
      ['loglog member remove 3 --dry-run', 'what would come of its removal'],
      ['loglog member replace 3 4@10.0.0.4:7070/7170', 'node 4 for node 3'],
    ],
  )
    .addCommand(list)
    .addCommand(addCommand())
    .addCommand(
      byId(
        'remove',
        'remove a node',
        'remove a node, for good: what is in its directory never has a part in the log again. Refused where no majority would be left that is there; a leader that is removed hands its office over',
        runRemove,
      ),
    )
    .addCommand(replaceCommand())
    .addCommand(
      byId('promote', 'let a learner be a voter', 'let a learner that serves reads become a voter, and wait until it is one', runPromote),
    )
    .addCommand(
      byId(
        'demote',
        'let a voter be a learner',
        'let a voter be a learner: it is fed, to serve reads, and does not count for majorities',
        runDemote,
      ),
    )
    .addCommand(moveCommand());
}
