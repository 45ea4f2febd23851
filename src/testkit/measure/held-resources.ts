import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { garbageCollector } from '#base/memory/garbage-collector';

/** Sockets and the timers that close them are gone after this time. */
const SETTLE_MS = 300;

/** Resources of a process. */
export interface HeldResources {
  readonly heapBytes: number;
  readonly descriptors: number;
  /** Handles and requests of the event loop. */
  readonly resources: number;
}

/** Measures what this process holds, without garbage; for tests that search for leaks. */
export async function heldResources(): Promise<HeldResources> {
  await delay(SETTLE_MS);
  const collectGarbage = garbageCollector();
  for (let i = 0; i < 3; i++) {
    collectGarbage({ type: 'major' });
    await delay(5); // finalizers run between two collections
  }
  return {
    heapBytes: process.memoryUsage().heapUsed,
    descriptors: readdirSync('/proc/self/fd').length,
    resources: process.getActiveResourcesInfo().length,
  };
}
