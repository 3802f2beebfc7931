// deploy/: what is there names only what the code has, and each file is checked by the tool for it, where that is installed. What was not run is said.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { keyOf, parseConfig } from '../../src/cli/configFile.ts';
import { OPTION_NAMES, variableOf } from '../../src/cli/nodeOptions.ts';
import { startServer, stopServers, temporaryDirectory } from '../support/server.ts';

afterAll(stopServers);

const ROOT = new URL('../../', import.meta.url).pathname;
const FILES = readdirSync(join(ROOT, 'deploy'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** Runs a tool, which must take what it is given. Says so and returns undefined where it is not installed. */
function run(tool: string, args: readonly string[], what: string): string | undefined {
  const { status, stdout, stderr, error } = spawnSync(tool, args, { cwd: ROOT, encoding: 'utf8' });
  if (error !== undefined) {
    console.warn(`${tool} is not installed, so not run: ${what}`);
    return undefined;
  }
  expect([status, status === 0 ? '' : stdout + stderr]).toEqual([0, '']);
  return stdout;
}

describe('deploy/', () => {
  test('has metrics that a node really exports, and no others', async () => {
    const node = await startServer();
    const text = await (await fetch(`${node.url.replace('ws', 'http')}/metrics`)).text();
    const exported = new Map([...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = '', type]) => [name, type]));
    for (const path of ['deploy/prometheus/alerts.yaml', 'deploy/grafana/loglog.json']) {
      const used = [...read(path).matchAll(/\bloglog_\w+/g)].map(([name]) => name);
      expect(used.length).toBeGreaterThan(10);
      for (const name of used) {
        const histogram = name.replace(/_(bucket|sum|count)$/, '');
        expect([path, name, exported.has(name) || exported.get(histogram) === 'histogram']).toEqual([path, name, true]);
      }
    }
  });

  test('has options that a node has, and no others', () => {
    const variables = [...OPTION_NAMES.map(variableOf), 'LOGLOG_CONFIG', 'LOGLOG_URL', 'LOGLOG_TLS_CA', 'LOGLOG_TOKEN'];
    const flags = OPTION_NAMES.map((name) => `--${keyOf(name)}`);
    for (const path of FILES) {
      const text = read(path);
      for (const [name] of text.matchAll(/\bLOGLOG_\w+/g)) expect([path, variables]).toEqual([path, expect.arrayContaining([name])]);
      for (const [, rest = ''] of text.matchAll(/loglog serve (.*)$/gm)) {
        for (const [flag] of rest.matchAll(/--(?!help)[a-z-]+/g)) expect([path, flags]).toEqual([path, expect.arrayContaining([flag])]);
      }
    }
  });

  test('alerts for what matters', () => {
    const text = read('deploy/prometheus/alerts.yaml');
    for (const metric of [
      'fsync_duration_seconds_bucket',
      'tolerated_failures',
      'disk_level',
      'damaged_segments',
      'certificate_expiry_seconds',
      'is_leader',
    ]) {
      expect(text).toMatch(new RegExp(`expr: .*loglog_${metric}`));
    }
  });

  test.each(['deploy/kubernetes/loglog.yaml', 'deploy/helm/loglog/templates/loglog.yaml'])(
    '%s restarts no node that waits, and starts all at once',
    (path) => {
      const text = read(path);
      expect(text).not.toMatch(/livenessProbe|startupProbe|preStop/);
      expect(text).toContain('podManagementPolicy: Parallel');
      expect(text).toMatch(/kind: PodDisruptionBudget[\s\S]*?maxUnavailable: 1\n/);
      expect(text).toContain('publishNotReadyAddresses: true');
      expect(text).toContain('readOnlyRootFilesystem: true');
    },
  );

  test('the chart has the manifests, and what its values say', () => {
    // Whatever is no template is the same in both.
    const lines = (path: string): readonly string[] =>
      read(path)
        .replaceAll('{{ .Release.Name }}', 'loglog')
        .split('\n')
        .filter((line) =>
          /^\s*(apiVersion|kind|securityContext|readinessProbe|podManagementPolicy|terminationGracePeriodSeconds|command|maxUnavailable)\b/.test(
            line,
          ),
        );
    const chart = lines('deploy/helm/loglog/templates/loglog.yaml').slice(2);
    expect(chart).toEqual(lines('deploy/kubernetes/loglog.yaml'));
    expect(parseConfig('values.yaml', '{"tokens":true}').values.get('tokens')).toBe('on');
    expect(read('deploy/helm/loglog/values.yaml')).toContain('config:\n  tokens: true\n');
  });
});

describe('the tool takes', () => {
  test('the alert rules', () => void run('promtool', ['check', 'rules', 'deploy/prometheus/alerts.yaml'], 'promtool check rules'));

  test('what they say when a node, or all, are gone', () =>
    void run('promtool', ['test', 'rules', 'test/deploy/alerts.yaml'], 'promtool test rules'));

  test('the systemd unit', () => {
    // The command is not there where it is tested.
    const unit = join(temporaryDirectory(), 'loglog.service');
    writeFileSync(
      unit,
      read('deploy/systemd/loglog.service')
        .replace('ExecStart=loglog', `ExecStart=${process.execPath}`)
        .replace('/bin/kill', process.execPath),
    );
    run('systemd-analyze', ['verify', '--man=no', unit], 'systemd-analyze verify');
    run('systemd-analyze', ['security', '--offline=true', '--threshold=25', unit], 'systemd-analyze security');
  });

  test('the board, which asks for the data of the job that was chosen', () => {
    const board = JSON.parse(read('deploy/grafana/loglog.json')) as { panels: { targets: { expr: string }[] }[] };
    expect(board.panels.length).toBeGreaterThan(15);
    for (const { expr } of board.panels.flatMap(({ targets }) => targets)) expect(expr).toContain('{job="$job"}');
  });

  test('the manifests of Kubernetes', () => {
    const made = run('kubectl', ['kustomize', 'deploy/kubernetes'], 'kubectl kustomize');
    if (made !== undefined) expect(made).toContain('kind: StatefulSet');
  });

  test('each file in YAML', () => {
    const files = FILES.filter((path) => path.endsWith('.yaml') && !path.includes('/templates/'));
    const program = 'import sys, yaml\nfor path in sys.argv[1:]: list(yaml.safe_load_all(open(path)))';
    if (spawnSync('python3', ['-c', 'import yaml']).status === 0) run('python3', ['-c', program, ...files], 'a parser of YAML');
    else console.warn('no python3 with yaml is installed, so not run: a parser of YAML');
  });

  test('the chart, the compose file and the Dockerfile', () => {
    if (run('helm', ['version'], 'helm lint') !== undefined) run('helm', ['lint', 'deploy/helm/loglog'], 'helm lint');
    // A client without a compose plugin takes no -f.
    if (spawnSync('docker', ['compose', 'version']).status === 0)
      run('docker', ['compose', '-f', 'deploy/docker/compose.yaml', 'config', '-q'], 'docker compose config');
    else console.warn('docker compose is not installed, so not run: docker compose config');
    // Needs a daemon, and downloads: not in a test.
    console.warn('not run: docker build, kubectl apply; schemas of Kubernetes and compose: npm run pack-check');
    for (const [, file = ''] of read('deploy/docker/Dockerfile').matchAll(/^COPY (?!--from)(\S+) /gm))
      expect(existsSync(join(ROOT, file))).toBe(true);
  });
});
