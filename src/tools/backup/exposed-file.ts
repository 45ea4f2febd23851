import { fstatSync, readlinkSync } from 'node:fs';
import { FOR_OTHERS } from '#base/files/for-others';

/** Returns the path of an open file that other users can access; `undefined` for a private one, and a pipe. */
export function exposedFile(fd: number): string | undefined {
  const stats = fstatSync(fd);
  if (!stats.isFile() || (stats.mode & FOR_OTHERS) === 0) return undefined;
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return 'FILE'; // other systems do not have its name
  }
}
