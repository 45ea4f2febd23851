import { GitalyError } from '#base/gitaly-error';
import type { RawObject } from '../names/object-info.ts';
import { FoundCommit } from '../objects/found-commit.ts';
import type { ObjectReader } from '../objects/object-reader.ts';
import type { Mailmap } from '../objects/parse/mailmap.ts';
import type { NamedObject } from '../objects/read-many.ts';

/**
 * Number of commits that the shared process reads, because it responds quickly; a dedicated process
 * is started for the rest.
 */
const MAX_SHARED = 128;

/** An item of the source and its commit. */
export interface CommitOf<T> {
  readonly item: T;
  readonly commit: FoundCommit;
}

interface Found<T> {
  readonly item: T;
  readonly object: RawObject | undefined;
}

export interface ReadCommitsOptions {
  readonly signal?: AbortSignal | undefined;
  /** Applies `.mailmap` of HEAD to people. */
  readonly mailmap: boolean;
  /**
   * Omits missing objects instead of failing: for lists of stored objects, which a repack may
   * shorten meanwhile. Default false.
   */
  readonly mayVanish?: boolean;
}

/**
 * Reads commits that are named by their full ids, in order, in batches as they arrive. A slow
 * reader slows the source down; a reader that stops early ends it.
 *
 * @throws {GitalyError} without a code, `object not found`, for an id without a commit; any error
 *   of the source, after everything before it was yielded.
 */
export async function* readCommits<T extends NamedObject>(
  objects: ObjectReader,
  source: AsyncIterable<readonly T[]>,
  { signal, mailmap, mayVanish = false }: ReadCommitsOptions,
): AsyncGenerator<CommitOf<T>[], void, undefined> {
  const mailmapOf = async () => (mailmap ? await objects.mailmap() : undefined);
  const commitsOf = async (found: readonly Found<T>[], map: Mailmap | undefined): Promise<CommitOf<T>[]> => {
    const commits = found
      .filter(({ object }) => object !== undefined || !mayVanish)
      .map(({ item, object }) => ({ item, commit: toCommit(object, map) }));
    for (const { commit } of commits) if (commit.isHuge) await commit.parse();
    return commits;
  };
  const batches = source[Symbol.asyncIterator]();
  try {
    let rest: readonly T[] = [];
    for (let shared = 0; shared < MAX_SHARED; ) {
      const { done, value: batch } = await batches.next();
      if (done === true) return;
      const few = batch.slice(0, MAX_SHARED - shared);
      rest = batch.slice(few.length);
      shared += few.length;
      // Objects are not peeled: a malformed object of type commit is listed as far as it can be
      // parsed.
      const reading = Promise.all(few.map(({ oid }) => objects.readObject(oid, { signal })));
      const [map, found] = await Promise.all([mailmapOf(), reading]);
      yield await commitsOf(
        few.map((item, index) => ({ item, object: found[index] })),
        map,
      );
    }
    const map = await mailmapOf();
    for await (const batch of objects.readMany(() => startingWith(rest, batches), { signal })) {
      yield await commitsOf(batch, map);
    }
  } finally {
    await batches.return?.();
  }
}

async function* startingWith<T>(
  first: readonly T[],
  rest: AsyncIterator<readonly T[]>,
): AsyncGenerator<readonly T[]> {
  yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

function toCommit(object: RawObject | undefined, mailmap: Mailmap | undefined): FoundCommit {
  if (object?.type !== 'commit') throw new GitalyError('UNKNOWN', 'object not found');
  return new FoundCommit(object, mailmap);
}
