import { isMainThread } from 'node:worker_threads';
import { createNodeSpawner } from './node-spawner.ts';
import type { Spawner } from './spawner.ts';

/** One for the process: there is only one SIGCHLD. */
let chosen: Promise<Spawner> | undefined;

/**
 * The best way to start processes that works here: `posix_spawn` by FFI, else `child_process` (no FFI for this platform; a worker
 * thread, which gets no signals). `name` says which, for the log and the metrics.
 */
export function chooseSpawner(): Promise<Spawner> {
  chosen ??= choose();
  return chosen;
}

async function choose(): Promise<Spawner> {
  if (!isMainThread) return createNodeSpawner();
  try {
    const { createPosixSpawner } = await import('./posix-spawner.ts');
    return createPosixSpawner();
  } catch {
    // Whatever is missing, the other way needs nothing; `name` tells the operator.
    return createNodeSpawner();
  }
}
