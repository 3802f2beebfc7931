// `loglog doctor`: names what is wrong with a cluster that runs, or with data directories, and what to do next. It changes nothing.

import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { LogError } from '../../core/errors.ts';
import { DEFAULT_URL, jsonOption, parseUrls, withExamples } from '../arguments.ts';
import { clusterFindings } from '../doctor/clusterFindings.ts';
import { directoryFindings } from '../doctor/directoryFindings.ts';
import { describeFinding, type Finding, sorted } from '../doctor/findings.ts';
import { EXIT, Quit } from '../exit.ts';
import { firstStatus } from '../nodeStatus.ts';
import { grouped, print, printJson } from '../output.ts';
import { askAll } from '../survey.ts';
import { kindOfPath } from './inspect.ts';

interface DoctorOptions {
  readonly url: readonly string[];
  /** False: nothing is written to the disks of the directories. */
  readonly probe: boolean;
  readonly json?: boolean;
}

const TIMEOUT_MS = 5_000;

/** What there is, and what is wrong with it. */
interface Examination {
  readonly what: string;
  readonly findings: readonly Finding[];
}

async function examineCluster(urls: readonly string[]): Promise<Examination> {
  const asked = await firstStatus(urls, TIMEOUT_MS);
  const answers = await askAll(asked, true);
  const answering = answers.filter(({ status }) => status !== undefined).length;
  const what = `cluster ${asked.clusterId}: ${answering} of ${answers.length} ${answers.length === 1 ? 'node answers' : 'nodes answer'}`;
  return { what, findings: clusterFindings(answers) };
}

function examineDirectories(given: readonly string[], isProbing: boolean): Examination {
  const directories = given.map((each) => resolve(each));
  for (const directory of directories) {
    if (kindOfPath(directory) !== 'directory') throw new LogError('USAGE', `${directory} is not a directory`);
  }
  const { findings, logs } = directoryFindings(directories, isProbing, Date.now());
  return { what: `${grouped(logs)} ${logs === 1 ? 'data directory' : 'data directories'} looked at`, findings };
}

function summary({ what, findings }: Examination): string {
  if (findings.length === 0) return `${what}; nothing is wrong, as far as can be seen from here`;
  const problems = findings.filter(({ severity }) => severity === 'problem').length;
  const warnings = findings.length - problems;
  const count = (n: number, name: string): string[] => (n === 0 ? [] : [`${grouped(n)} ${name}${n === 1 ? '' : 's'}`]);
  return `${what}; ${[...count(problems, 'problem'), ...count(warnings, 'warning')].join(', ')}`;
}

async function run(directories: readonly string[], { url, probe, json = false }: DoctorOptions): Promise<void> {
  const { what, findings: found } = directories.length > 0 ? examineDirectories(directories, probe) : await examineCluster(url);
  const findings = sorted(found);
  if (json) await printJson({ ok: findings.length === 0, what, findings });
  else await print([...findings.map(describeFinding), summary({ what, findings })].join('\n\n'));
  if (findings.some(({ code }) => code === 'DAMAGED')) throw new Quit(EXIT.DAMAGE);
  if (findings.length > 0) throw new Quit(EXIT.FAILURE);
}

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .summary('name what is wrong, and what to do next')
    .description(
      'name what is wrong with a cluster, by what all of its nodes say, or with data directories and the disks that they are on, and what to do next. It changes nothing; on the disk of a directory it writes 1 MiB, which goes again. Exit code 0 when nothing is wrong, 1 when something is, 4 when no node answers, 5 when something is damaged',
    )
    .argument('[directories...]', 'data directories, in place of a cluster: of nodes that are stopped, or run on this machine')
    .addOption(
      new Option('--url <url>', 'a node of the cluster, or several with commas between them, of which one must answer')
        .env('LOGLOG_URL')
        .default([DEFAULT_URL], DEFAULT_URL)
        .argParser(parseUrls),
    )
    .option('--no-probe', 'write nothing to the disks of the directories, which then are not measured')
    .addOption(jsonOption('one JSON object'))
    .action(run);
  return withExamples(command, [
    ['loglog doctor', 'of the cluster of the node on this machine'],
    ['loglog doctor --url ws://10.0.0.7:7070,ws://10.0.0.8:7070', 'of a cluster; the second is asked if the first does not answer'],
    ['loglog doctor ./data', 'of a directory and its disk; several are compared with each other, too'],
  ]);
}
