import { executionAsyncResource } from 'node:async_hooks';
import * as nodeModule from 'node:module';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { collectAfterBulkBytes } from '#base/memory/bulk-memory';
import { releaseMemoryWhenIdle } from './idle-memory.ts';

/** An object that Node has made for a tick. */
const kept: object[] = [];

/**
 * Keeps `process.nextTick` fast for the life of the process.
 *
 * Node makes an object with computed keys for each tick. V8's fast code for such a literal is bound
 * to the hidden classes of the first objects. When no tick waits during a few full garbage
 * collections, as in an idle server, the hidden classes are collected, and V8 treats those of later
 * ticks as a change: from then on it makes each object in its slow way, which takes three times as
 * long, and never returns to the fast one. A FindCommit needs 14 ticks in praefect. One object
 * keeps the hidden classes alive.
 */
function keepTicksFast(): void {
  process.nextTick(() => {
    if (kept.length === 0) kept.push(executionAsyncResource());
  });
}

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
    nodeModule.enableCompileCache(join(import.meta.dirname, '../../.compile-cache'));
}
