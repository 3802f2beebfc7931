// Disks whose syncs do nothing, or take long, for processes of their own: a library that is loaded before all others, where there is a C compiler.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** SYNC_MS: so long each takes; without it they do nothing. */
const SOURCE = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static int sync_by(const char *name, int fd) {
  const char *ms = getenv("SYNC_MS");
  if (ms == NULL) return 0;
  usleep(1000 * atoi(ms));
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  return real(fd);
}
int fdatasync(int fd) { return sync_by("fdatasync", fd); }
int fsync(int fd) { return sync_by("fsync", fd); }
`;

/** What a process is to have in its environment: for syncs that do nothing, or take `ms`. Undefined where there is no compiler. */
export function syncsIn(directory: string): ((ms?: number) => NodeJS.ProcessEnv) | undefined {
  const [source, library] = [join(directory, 'syncs.c'), join(directory, 'syncs.so')];
  writeFileSync(source, SOURCE);
  const { status } = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'], { stdio: 'ignore' });
  if (status !== 0) return undefined;
  return (ms) => ({ LD_PRELOAD: library, ...(ms === undefined ? {} : { SYNC_MS: String(ms) }) });
}
