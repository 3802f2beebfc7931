// What the node closes and refuses leaves a trace: in its log, not too often, and in /metrics.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { INCIDENT_LOG_MS } from '../../src/core/servingLimits.ts';
import { Incidents } from '../../src/server/incidents.ts';
import { connect, startNode } from './support/fixture.ts';

describe('an incident', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('is told at once, then once a minute with how often it came, and each reason by itself', () => {
    const lines: string[] = [];
    const shown: string[] = [];
    const incidents = new Incidents((line, what) => {
      lines.push(line);
      shown.push(what);
    });
    for (let i = 0; i < 1000; i += 1) incidents.closed('flood', `number ${i}`);
    incidents.refused('OVERLOADED', 'too much');
    expect(lines).toEqual([
      'a connection sent more than may wait, and was closed with 4002: number 0',
      'a request was refused with OVERLOADED: too much',
    ]);
    vi.advanceTimersByTime(INCIDENT_LOG_MS);
    expect(lines.slice(2)).toEqual([
      '999 more in the last minute: a connection sent more than may wait, and was closed with 4002; the latest one: number 999',
    ]);
    vi.advanceTimersByTime(INCIDENT_LOG_MS - 1);
    incidents.closed('flood', 'again');
    expect(lines).toHaveLength(3);
    vi.advanceTimersByTime(1);
    expect(lines[3]).toContain('1 more in the last minute');
    // Quiet since: the next one is told at once.
    vi.advanceTimersByTime(2 * INCIDENT_LOG_MS);
    expect([lines.length, vi.getTimerCount()]).toEqual([4, 0]);
    incidents.closed('flood', 'later');
    expect(lines[4]).toContain('later');
    expect(incidents.closedCounts.get('flood')?.count).toBe(1002);
    // Without whom it was about.
    const flood = 'a connection sent more than may wait, and was closed with 4002';
    const refused = 'a request was refused with OVERLOADED';
    expect(shown).toEqual([flood, refused, `999 more in the last minute: ${flood}`, `1 more in the last minute: ${flood}`, flood]);
  });

  test('that is an answer like any is counted, and not told', () => {
    const lines: string[] = [];
    const incidents = new Incidents((text) => lines.push(text));
    incidents.refused('CONDITION_FAILED', 'somebody else was first');
    expect([lines, incidents.refusedCounts.get('CONDITION_FAILED')?.count]).toEqual([[], 1]);
  });
});

test('connections that are closed and requests that are refused stand in the log and in /metrics', async () => {
  const node = await startNode({ maxConnections: 2 });
  await connect(node);
  const second = await connect(node);
  await expect(connect(node)).rejects.toThrow();
  const closed = new Promise((resolve) => second.socket.once('close', resolve));
  second.socket.send('text');
  await closed;
  const metrics = await (await fetch(`${node.httpUrl}/metrics`)).text();
  for (const line of [
    'loglog_connections_closed_total{reason="no_place"} 1',
    'loglog_connections_closed_total{reason="error"} 1',
    'loglog_connections_closed_total{reason="unfinished"} 0',
    'loglog_requests_refused_total{code="MALFORMED"} 1',
    'loglog_requests_refused_total{code="OVERLOADED"} 0',
  ]) {
    expect(metrics).toContain(line);
  }
  expect(node.stderr).toContain('a connection was refused with HTTP 503: this node serves at most 2 connections');
  expect(node.stderr).toContain('a connection got a fatal error, and was closed: from 127.0.0.1, LogLog speaks binary messages');
});
