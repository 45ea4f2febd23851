import { isMainThread } from 'node:worker_threads';
import { messageOf } from '#base/gitaly-error';
import { createNodeSpawner } from './node-spawner.ts';
import { READS_DESCRIPTORS } from './reads-descriptors.ts';
import type { Spawner } from './spawner.ts';

/** One per process, because there is only one SIGCHLD. */
let chosen: Promise<Spawner> | undefined;

/**
 * Returns the best spawner that works here: `posix_spawn` by FFI, otherwise `child_process` (no FFI
 * for this platform; a worker thread, which gets no signals; Bun, whose sockets take no
 * descriptors). `fallbackReason` of the fallback has the reason.
 */
export function chooseSpawner(): Promise<Spawner> {
  chosen ??= choose();
  return chosen;
}

async function choose(): Promise<Spawner> {
  if (!isMainThread) return createNodeSpawner('this is a worker thread');
  if (!READS_DESCRIPTORS) return createNodeSpawner('Bun reads no pipes of others');
  try {
    const { createPosixSpawner } = await import('./posix-spawner.ts');
    return createPosixSpawner();
  } catch (error) {
    return createNodeSpawner(messageOf(error)); // it has no requirements
  }
}
