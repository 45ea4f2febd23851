import assert from 'node:assert/strict';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const OBJECTS = 20_000;
const AT_ONCE = 16;
/** The least of these counts: V8 may promote all objects when it marks at the same time. */
const MEASUREMENTS = 5;
/** Size of the array in each object. */
const ELEMENTS = 100;

/** An object of about 800 bytes. */
export interface Bulky {
  readonly id: number;
  readonly content: readonly number[];
}

/**
 * Returns how many bytes of each object get into the old generation of the heap when objects are
 * added to a collection and removed again, 16 at a time. An object takes about 900 bytes.
 *
 * @param add adds an object and returns a function that removes it.
 */
export function oldBytesPerObject(add: (object: Bulky) => () => void): number {
  const collect = collector();
  const removals: (() => void)[] = [];
  const turnOver = (): void => {
    for (let id = 0; id < OBJECTS; id++) {
      removals[id % AT_ONCE]?.();
      removals[id % AT_ONCE] = add({ id, content: new Array(ELEMENTS).fill(id) });
    }
    for (const remove of removals.splice(0)) remove();
  };
  const measured = (): number => {
    turnOver();
    // Moves what is alive to the old generation, with the tables of maps.
    collect({ type: 'major' });
    const before = oldBytes();
    turnOver();
    collect({ type: 'minor' });
    collect({ type: 'minor' });
    return (oldBytes() - before) / OBJECTS;
  };
  return Math.min(...Array.from({ length: MEASUREMENTS }, measured));
}

function oldBytes(): number {
  return getHeapSpaceStatistics().find((space) => space.space_name === 'old_space')?.space_used_size ?? 0;
}

function collector(): (options: { type: 'minor' | 'major' }) => void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('globalThis.gc');
  setFlagsFromString('--no-expose-gc');
  assert.ok(typeof gc === 'function');
  return (options) => gc(options);
}
