import { mapAhead } from '#base/streams/map-ahead';
import { FallBackToGit } from '../in-process.ts';
import type { ReadableRepository } from '../objects/readable-repository.ts';
import { type AskOptions, askForRefs } from './ask-for-refs.ts';
import { hasFewPatterns, type RefQuery } from './for-each-ref.ts';
import type { ListedRef } from './listed-ref.ts';
import type { StoredRefs } from './stored-refs.ts';

export type ListOptions = AskOptions;

/** Number of concurrent lookups of objects. */
const PEEL_AHEAD = 256;

export interface RefSources {
  readonly repository: ReadableRepository;
  readonly stored: StoredRefs;
}

/**
 * Lists references as `git for-each-ref` does, in batches as they are found: from the storage
 * when it has everything that the query needs, else, and from the first unusual reference on, from
 * git. Nothing is started or read before the first `next`.
 *
 * @throws {GitalyError} at once, for words that git must not receive; {GitExitError} while
 *   iterating, when git fails.
 */
export function listRefs(
  parts: RefSources,
  query: RefQuery,
  options: ListOptions = {},
): AsyncGenerator<ListedRef[], void> {
  const ask = askForRefs(parts.repository, query, options);
  const isInProcess = isByNameOnly(query) && hasFewPatterns(query);
  return limited(isInProcess ? storageFirst(parts, query, { ask, options }) : ask(), query.limit);
}

function isByNameOnly({ sort, ignoreCase, pointsAt, contains, merged }: RefQuery): boolean {
  const isSortedByName = sort === undefined || sort === 'refname';
  return (
    isSortedByName &&
    ignoreCase !== true &&
    !pointsAt?.length &&
    contains === undefined &&
    merged === undefined
  );
}

/**
 * Returns a function that peels references whose storage does not contain their targets. git
 * reports a reference without its object.
 */
function looseRefPeeler({ objects }: ReadableRepository, { signal }: ListOptions) {
  const peel = async (ref: ListedRef): Promise<ListedRef> => {
    const object = await objects.info(ref.oid, { signal });
    const end = object?.type === 'tag' ? await objects.info(`${ref.oid}^{}`, { signal }) : object;
    if (end === undefined) throw new FallBackToGit('an object is missing');
    return { ...ref, peeledOid: object?.type === 'tag' ? end.oid : undefined, isPeelKnown: true };
  };
  return (refs: readonly ListedRef[]): Promise<ListedRef[]> =>
    Array.fromAsync(mapAhead(refs, PEEL_AHEAD, peel));
}

function storageFirst(
  { repository, stored }: RefSources,
  query: RefQuery,
  { ask, options }: { ask: (after?: Buffer) => AsyncGenerator<ListedRef[], void>; options: ListOptions },
): AsyncGenerator<ListedRef[], void> {
  const progress: Progress = { last: undefined };
  const fromStorage = (): AsyncGenerator<ListedRef[], void> => {
    const peel = options.peel === true ? looseRefPeeler(repository, options) : undefined;
    return noting(stored.requirePlain().list(query, peel), progress);
  };
  return repository.inProcess.attemptEach('list_refs', fromStorage, () => ask(progress.last));
}

interface Progress {
  /** Name of the last reference that was listed. */
  last: Buffer | undefined;
}

async function* noting(
  batches: AsyncIterable<ListedRef[]>,
  progress: Progress,
): AsyncGenerator<ListedRef[], void> {
  for await (const refs of batches) {
    const end = refs.at(-1);
    if (end === undefined) continue;
    progress.last = end.name;
    yield refs;
  }
}

async function* limited(
  batches: AsyncIterable<ListedRef[]>,
  limit: number | undefined,
): AsyncGenerator<ListedRef[], void> {
  let left = limit ?? Number.POSITIVE_INFINITY;
  for await (const refs of batches) {
    if (refs.length >= left) {
      if (left > 0) yield refs.slice(0, left);
      return;
    }
    left -= refs.length;
    yield refs;
  }
}
