import { mapAhead } from '#base/map-ahead';
import type { ObjectInfo } from './object-info.ts';
import type { ObjectReader, OpenObject, ReadOptions } from './object-reader.ts';

/** What a look-up found out about an item. */
export interface Looked {
  /** Of the item's object; `undefined` when there is none. */
  readonly info: ObjectInfo | undefined;
  /** Whether its contents are to be opened. */
  readonly isWanted: boolean;
}

/** An item, what was found out about it, and its contents when they were wanted (and are still there). */
export interface Listed<T, L extends Looked> {
  readonly item: T;
  readonly looked: L;
  /** A big one has to be read to its end or destroyed before the next is asked for. */
  readonly object: OpenObject | undefined;
}

export interface ListedOptions<T, L extends Looked> extends ReadOptions {
  /** Finds out about one item, with questions to the `ObjectReader`. Called for many items at once. */
  readonly look: (item: T) => Promise<L>;
}

/** So many are looked up at once. */
const GROUP = 128;
/** Contents up to so many bytes are read ahead of the reader. */
const AHEAD_BYTES = 4 * 1024 * 1024;
/** Bigger objects are opened when their turn comes: each takes a process out of service while it is read. */
const BIG_BYTES = 256 * 1024;

/**
 * Reads what a client lists, in its order, through the shared processes: looks many up at once, then asks for the contents of small ones
 * at once. Holds at most 4 MiB of contents. For lists that come in a request; what comes out of a walk is for `readMany`.
 *
 * @throws what a look-up throws, when its turn comes: everything before it has been given by then.
 */
export async function* openListed<T, L extends Looked>(
  objects: ObjectReader,
  items: readonly T[],
  { look, signal }: ListedOptions<T, L>,
): AsyncGenerator<Listed<T, L>> {
  const open = async (outcome: Outcome<T, L>): Promise<Listed<T, L>> => {
    if ('error' in outcome) throw outcome.error;
    const { info, isWanted } = outcome.looked;
    return { ...outcome, object: info === undefined || !isWanted ? undefined : await objects.openObject(info.oid, { signal }) };
  };
  for (let start = 0; start < items.length; start += GROUP) {
    const outcomes = mapAhead(items.slice(start, start + GROUP), GROUP, (item) => outcomeOf(item, look));
    for await (const run of runsThatFit(outcomes)) yield* mapAhead(run, run.length, open);
  }
}

type Outcome<T, L> = { readonly item: T; readonly looked: L } | { readonly error: unknown };

async function outcomeOf<T, L>(item: T, look: (item: T) => Promise<L>): Promise<Outcome<T, L>> {
  try {
    return { item, looked: await look(item) };
  } catch (error) {
    // Told when its turn comes.
    return { error };
  }
}

/** Cuts a list where the contents would be too much to hold, and before and after a big one. */
async function* runsThatFit<T, L extends Looked>(outcomes: AsyncIterable<Outcome<T, L>>): AsyncGenerator<Outcome<T, L>[]> {
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
