// Proxies in front of a node, with the configurations of docs/PROXIES.md: TLS ends there, and a path leads to the node.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../../dist/src/client/index.js';
import { openLog } from '../../dist/src/index.js';
import { claimPorts } from '../../src/cluster/portBlock.ts';
import { issueCertificate, makeAuthority } from '../../src/tls/authority.ts';
import { eventually, makeDirectory } from '../server/support/fixture.ts';
import { isOpen } from '../support/ports.ts';
import { runCommand } from '../support/server.ts';

const PAGE = new URL('../../docs/PROXIES.md', import.meta.url);

interface Proxy {
  readonly name: string;
  readonly debianPackage: string;
  /** What the page shows, with all files in `directory`, for these ports; it must be all of a configuration. */
  configuration(shown: string, directory: string, port: number, nodePort: number): string;
  /** Command line, in the foreground. */
  args(directory: string, file: string): readonly string[];
}

const NGINX: Proxy = {
  name: 'nginx',
  debianPackage: 'nginx-light',
  configuration(shown, directory, port, nodePort) {
    const own = shown.replace('listen 443', `listen 127.0.0.1:${port}`).replace('127.0.0.1:7070', `127.0.0.1:${nodePort}`);
    expect(own).toContain(`listen 127.0.0.1:${port} ssl`);
    expect(own).toContain(`127.0.0.1:${nodePort};`);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${join(directory, name)};`);
    const user = userInfo().uid === 0 ? 'user root;' : '';
    return `${user} worker_processes 1; daemon off; pid ${join(directory, 'pid')}; error_log ${join(directory, 'log')};
events {}
http { access_log off; ${temporary.join(' ')}
${own}
}`;
  },
  args: (directory, file) => ['-p', directory, '-c', file],
};

const HAPROXY: Proxy = {
  name: 'haproxy',
  debianPackage: 'haproxy',
  configuration(shown, _, port, nodePort) {
    const own = shown.replace('bind :443', `bind 127.0.0.1:${port}`).replace('127.0.0.1:7070', `127.0.0.1:${nodePort}`);
    expect(own).toContain(`bind 127.0.0.1:${port} ssl`);
    expect(own).toContain(`server node1 127.0.0.1:${nodePort}\n`);
    return own;
  },
  args: (_, file) => ['-db', '-q', '-f', file],
};

/** Where it is; undefined where it is not installed, which is said. */
function programOf({ name, debianPackage }: Proxy): string | undefined {
  const found = [name, `/usr/sbin/${name}`].find((path) => spawnSync(path, ['-v']).status === 0);
  if (found === undefined)
    console.warn(`THE TEST OF ${name} AS A PROXY DID NOT RUN: there is none (on Debian: apt-get install ${debianPackage})`);
  return found;
}

/** Starts it with the configuration of the page. */
async function startProxy(proxy: Proxy, program: string, directory: string, port: number, nodePort: number): Promise<void> {
  const [, shown = ''] = new RegExp(`\`\`\`${proxy.name}\\n(.*?)\`\`\``, 's').exec(readFileSync(PAGE, 'utf8')) ?? [];
  const file = join(directory, 'conf');
  writeFileSync(file, proxy.configuration(shown.replaceAll('/etc/loglog/', `${directory}/`), directory, port, nodePort));
  const child: ChildProcess = spawn(program, proxy.args(directory, file), { stdio: 'inherit' });
  onTestFinished(async () => {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null && child.kill('SIGTERM')) await gone;
  });
  await eventually(async () => child.exitCode !== null || isOpen(port), `${proxy.name} listens`);
  expect(child.exitCode).toBe(null);
}

for (const proxy of [NGINX, HAPROXY]) {
  const program = programOf(proxy);
  test.runIf(program !== undefined)(
    `a client, a catch-up and a command go through ${proxy.name} with TLS, and a path, to a node that knows of neither`,
    async () => {
      const directory = makeDirectory();
      const own = join(directory, 'proxy');
      mkdirSync(own);
      const authority = await makeAuthority('0123456789abcdef0123456789abcdef');
      const pair = await issueCertificate(authority, { kind: 'node', clusterId: authority.clusterId, nodeId: 1 }, ['127.0.0.1']);
      writeFileSync(join(own, 'proxy.crt'), pair.certificate);
      writeFileSync(join(own, 'proxy.key'), pair.key);
      writeFileSync(join(own, 'proxy.pem'), `${pair.certificate}${pair.key}`);
      writeFileSync(join(own, 'ca.crt'), authority.certificate);
      const block = await claimPorts(2);
      onTestFinished(() => block.release());
      const [port = 0, nodePort = 0] = block.ports;
      const url = `wss://127.0.0.1:${port}/node-1`;
      const log = await openLog({
        dir: join(directory, 'data'),
        listen: { port: nodePort },
        segmentBytes: 65_536,
        slots: 3,
        advertise: url,
      });
      onTestFinished(() => log.close());
      await startProxy(proxy, program ?? '', own, port, nodePort);

      const tls = { ca: authority.certificate };
      const events: string[] = [];
      const client = await connect(url, { tls, onEvent: ({ type }) => void events.push(type) });
      for (let i = 0; i < 14; i += 1) await client.append(new Uint8Array(30_000));
      await eventually(() => client.hello.cluster?.members[0]?.url === url, 'the node says where it is');
      let entries = 0;
      for await (const _entry of client.read({ catchUp: { urls: url, verify: 'checks' } })) entries += 1;
      expect(entries).toBe(14);
      expect(events).toContain('catchUp');
      expect(events).not.toContain('catchUpLost');
      await client.close();

      const status = await runCommand(['status', '--url', url, '--tls-ca', join(own, 'ca.crt')]);
      expect([status.code, status.stderr]).toEqual([0, '']);
      expect(status.stdout.toString()).toContain(`node                  1 at ${url}, leader`);
      const strange = await runCommand(['status', '--url', url]);
      expect([strange.code, strange.stderr]).toEqual([4, expect.stringMatching(/certificate/)]);
    },
  );
}
