import { constants, fstatSync, openSync } from 'node:fs';
import { attempt } from '#base/attempt';

/**
 * Returns a descriptor of the same pipe on which no write blocks, for the time of the process. On
 * the given one writes may block again: Node restores the mode of its standard output when it ends,
 * for all processes that have it, such as the next one of a restart. A thread that waits for the
 * reader of a pipe keeps its process from exiting.
 *
 * Anything else than a pipe, or a pipe that cannot be opened, is returned as it is.
 */
export function nonBlocking(fd: number): number {
  if (!fstatSync(fd).isFIFO()) return fd;
  return attempt(() => openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK)) ?? fd;
}
