// A cluster for each test of a file, which ends with the test.

import { afterEach, beforeEach } from 'vitest';
import type { LogClient } from '../../../src/client/client.ts';
import type { ConnectOptions } from '../../../src/client/options.ts';
import { FakeCluster } from './fakeCluster.ts';

/** Of the test that runs, in a file that calls {@link useCluster}. */
export let cluster: FakeCluster;

export function useCluster(): void {
  beforeEach(renewCluster);
  afterEach(() => cluster.end());
}

/** In a test that goes through many: the one of before has ended. */
export function renewCluster(): void {
  cluster = new FakeCluster();
}

export function connect(options?: ConnectOptions, urls?: readonly string[]): Promise<LogClient> {
  return cluster.connect(options, urls);
}
