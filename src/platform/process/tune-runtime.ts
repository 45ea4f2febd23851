import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { collectAfterBulkBytes } from '#base/memory/bulk-memory';
import { releaseMemoryWhenIdle } from './idle-memory.ts';
import { keepTicksFast } from './keep-ticks-fast.ts';

/** Time for the start. A start takes a third of a second, on a busy machine two seconds. */
const START_MS = 3000;

/**
 * Adjusts Node for our programs. Call it first, before the server's code is loaded.
 *
 * - Loading code makes the young generation of the heap grow, and an idle server keeps that memory.
 *   So it does not grow during the start beyond 4 MiB, twice, which saves 8 to 13 MB. Afterwards it
 *   may grow as usual, which concurrent calls need: with a small one, a FindCommit among 64 costs
 *   half as much again.
 * - Calls that have ended are collected with the young generation
 *   (docs/decisions/0027-ended-calls-die-young.md).
 * - Ticks stay fast after the full collections of an idle time.
 * - Garbage of bulk data is collected early (docs/decisions/0010-forced-garbage-collection.md).
 * - An idle process returns its memory to the system.
 * - Compiled code is cached in `dist/` for the next start, if that directory is writable.
 */
export function tuneRuntime(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setTimeout(() => setFlagsFromString('--semi-space-growth-factor=2'), START_MS).unref(); // V8's default
  setFlagsFromString('--no-allocation-site-pretenuring');
  keepTicksFast();
  collectAfterBulkBytes();
  releaseMemoryWhenIdle();
  // Developers and tests run the sources; cache files next to these would be in the way.
  if (import.meta.filename.endsWith('.js'))
    enableCompileCache(join(import.meta.dirname, '../../.compile-cache'));
}
