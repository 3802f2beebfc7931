// `npm run live-tail`: the dashboard's live tail beside a steady load, for as long as you like. Exit code 1 when it did not keep up, or its memory grew.

import { Usage } from '../support/usage.ts';
import { tailLive } from './liveTail.ts';

const USAGE = `usage: npm run live-tail -- [--minutes M] [--rate N]

Opens the dashboard of a node in Chromium, lets it show what comes, and appends N (1,000) entries a second for M (60) minutes. In the last third of that
the heap and the document of the page, and the process of its tab, may not be above what they were in the second one by more than 10 %; the page may
never be more than 10 s behind, and in the end it must show the last entry.
`;

const usage = new Usage(USAGE);
const values = usage.parse({ minutes: { type: 'string', default: '60' }, rate: { type: 'string', default: '1000' } });
const seconds = 60 * usage.number('minutes', values.minutes, 1, 600_000);
const perSecond = usage.number('rate', values.rate, 1, 100_000);
const tell = (sentence: string): void => void process.stdout.write(`${sentence}\n`);

const { appended, mostBehind, trends, faults } = await tailLive({
  seconds,
  perSecond,
  everyMs: Math.min(10_000, (seconds * 1000) / 30),
  tell,
});
const grown = trends.flatMap((trend) => trend.judge() ?? []);
tell(`${appended} entries in ${seconds} s, at most ${mostBehind} of them not shown yet`);
for (const trend of trends) tell(`${trend.name}: ${trend}`);
for (const fault of [...faults, ...grown]) tell(`FAULT: ${fault}`);
if (faults.length + grown.length > 0) process.exitCode = 1;
