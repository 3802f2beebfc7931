// Opens the driver of a system. Only that system's client is loaded.

import type { DriverName, Target } from '../target.ts';
import type { Driver, OpenDriver } from './driver.ts';

const MODULES: Readonly<Record<DriverName, () => Promise<{ open: OpenDriver }>>> = {
  loglog: () => import('./loglog.ts'),
  redis: () => import('./redis.ts'),
  nats: () => import('./nats.ts'),
  etcd: () => import('./etcd.ts'),
};

export async function openDriver(target: Target): Promise<Driver> {
  const { open } = await MODULES[target.driver]();
  return open(target);
}
