import { fstatSync, readlinkSync } from 'node:fs';
import { attempt } from '#base/attempt';
import { FOR_OTHERS } from '#base/files/for-others';

/** Returns the path of an open file that other users can access; `undefined` for a private one, and a pipe. */
export function exposedFile(fd: number): string | undefined {
  const stats = fstatSync(fd);
  if (!stats.isFile() || (stats.mode & FOR_OTHERS) === 0) return undefined;
  // On failure: other systems do not have its name
  return attempt(() => readlinkSync(`/proc/self/fd/${fd}`)) ?? 'FILE';
}
