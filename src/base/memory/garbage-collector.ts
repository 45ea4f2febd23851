import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** A collection, as V8 names its kinds. */
export interface GarbageCollection {
  /** `minor` collects the young generation, `major` the whole heap. */
  readonly type: 'minor' | 'major';
  /** `last-resort` repeats a collection while it finds something, and compacts the heap. */
  readonly flavor?: 'last-resort';
}

let collector: ((kind: GarbageCollection) => void) | undefined;

/**
 * Returns V8's garbage collector. V8 exposes it only in contexts created after the flag was set, so
 * `globalThis.gc` does not appear.
 */
export function garbageCollector(): (kind: GarbageCollection) => void {
  collector ??= exposedCollector();
  return collector;
}

function exposedCollector(): (kind: GarbageCollection) => void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('globalThis.gc');
  setFlagsFromString('--no-expose-gc');
  return typeof gc === 'function' ? (kind) => gc(kind) : () => {};
}
