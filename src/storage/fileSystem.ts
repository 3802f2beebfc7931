// What a directory's file system is called.

import { statfsSync } from 'node:fs';

/** Linux, include/uapi/linux/magic.h and those of the file systems: what statfs(2) says of them. */
const NAMES: Readonly<Record<number, string>> = {
  16914836: 'tmpfs',
  2240043254: 'ramfs',
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  801189825: 'zfs',
  2035054128: 'overlayfs',
  26985: 'nfs',
  4283649346: 'cifs',
  1702057286: 'fuse',
  4076150800: 'f2fs',
  16914839: '9p',
  1785031267: 'virtiofs',
};

/** The name of the file system of `directory`, which may be not there; a number where it has none here; null where the system does not say. */
export function fileSystemOf(directory: string): string | null {
  try {
    const { type } = statfsSync(directory);
    const number = type >>> 0;
    return NAMES[number] ?? (number === 0 ? null : number.toString(16));
  } catch {
    return null;
  }
}
