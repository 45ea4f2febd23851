import { LoopSlice } from '#base/async/loop-turns';
import { mapAhead } from '#base/streams/map-ahead';
import type { ObjectInfo } from '../names/object-info.ts';
import { READ_LIMITS } from './database/limits.ts';
import type { ObjectReader, ReadOptions } from './object-reader.ts';
import type { OpenObject } from './opened-object.ts';

/** Result of looking up an item. */
export interface Looked {
  /** The item's object; `undefined` if there is none. */
  readonly info: ObjectInfo | undefined;
  /** True if its contents must be opened. */
  readonly isWanted: boolean;
}

/** An item, the result of its lookup, and its contents if they are requested (and still exist). */
export interface Listed<T, L extends Looked> {
  readonly item: T;
  readonly looked: L;
  /** A big one must be read to its end or destroyed before the next is requested. */
  readonly object: OpenObject | undefined;
}

export interface ListedOptions<T, L extends Looked> extends ReadOptions {
  /** Looks up one item with the `ObjectReader`. Called for many items concurrently. */
  readonly look: (item: T) => Promise<L>;
}

/** Number of concurrent lookups. */
const GROUP = 128;
/** Limit of contents that are read ahead. */
const AHEAD_BYTES = 4 * 1024 * 1024;
/**
 * Size of objects that are opened only when their turn comes: each has a process of its own while
 * it is read.
 */
const BIG_BYTES = READ_LIMITS.objectBytes;

/**
 * Reads the objects that a client lists, in its order, through the shared processes: looks many up
 * at once, then requests the contents of small ones at once. Buffers at most 4 MiB of contents. It
 * is for lists in a request; for the result of a walk, use `readMany`.
 *
 * @throws the error of a lookup, when its turn comes, after everything before it was yielded.
 */
export async function* openListed<T, L extends Looked>(
  objects: ObjectReader,
  items: readonly T[],
  { look, signal }: ListedOptions<T, L>,
): AsyncGenerator<Listed<T, L>> {
  const open = async (outcome: Outcome<T, L>): Promise<Listed<T, L>> => {
    if ('error' in outcome) throw outcome.error;
    const { info, isWanted } = outcome.looked;
    return {
      ...outcome,
      object: info === undefined || !isWanted ? undefined : await objects.openObject(info.oid, { signal }),
    };
  };
  const slice = new LoopSlice();
  for (let start = 0; start < items.length; start += GROUP) {
    await slice.pause(signal);
    const outcomes = mapAhead(items.slice(start, start + GROUP), GROUP, (item) => outcomeOf(item, look));
    for await (const run of runsThatFit(outcomes)) yield* mapAhead(run, run.length, open);
  }
}

type Outcome<T, L> = { readonly item: T; readonly looked: L } | { readonly error: unknown };

async function outcomeOf<T, L>(item: T, look: (item: T) => Promise<L>): Promise<Outcome<T, L>> {
  try {
    return { item, looked: await look(item) };
  } catch (error) {
    // Thrown when the reader reaches the item.
    return { error };
  }
}

/** Splits a list where the contents would exceed the limit, and before and after a big one. */
async function* runsThatFit<T, L extends Looked>(
  outcomes: AsyncIterable<Outcome<T, L>>,
): AsyncGenerator<Outcome<T, L>[]> {
  let run: Outcome<T, L>[] = [];
  let bytes = 0;
  for await (const outcome of outcomes) {
    const size = 'looked' in outcome && outcome.looked.isWanted ? (outcome.looked.info?.size ?? 0) : 0;
    if (run.length > 0 && (bytes + size > AHEAD_BYTES || size > BIG_BYTES)) {
      yield run;
      run = [];
      bytes = 0;
    }
    run.push(outcome);
    bytes += size > BIG_BYTES ? AHEAD_BYTES : size;
  }
  if (run.length > 0) yield run;
}
