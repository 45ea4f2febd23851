import { LoopSlice } from '#base/async/loop-turns';
import { mapAhead } from '#base/streams/map-ahead';
import { FallBackToGit } from '#git/command/in-process';
import { readShallowFile } from '#git/objects/database/shallow-file';
import type { ReadableRepository } from '#git/objects/readable-repository';
import { type AskOptions, askForRefs, NO_PATTERN } from '../git/ask-for-refs.ts';
import { hasFewPatterns, type RefQuery } from '../git/for-each-ref.ts';
import { refsPointingAt } from '../git/points-at.ts';
import type { StoredRefs } from '../resolve/stored-refs.ts';
import type { ListedRef } from '../storage/listed-ref.ts';

export type ListRefsOptions = AskOptions;

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
  options: ListRefsOptions = {},
): AsyncGenerator<ListedRef[], void> {
  const ask = askForRefs(parts.repository, query, options);
  return limited(listFrom(parts, query, { ask, options }), query.limit);
}

interface Asking {
  readonly ask: (after?: Buffer) => AsyncGenerator<ListedRef[], void>;
  readonly options: ListRefsOptions;
}

function listFrom(parts: RefSources, query: RefQuery, asking: Asking): AsyncGenerator<ListedRef[], void> {
  if (!hasFewPatterns(query)) return asking.ask();
  if (isByNameOnly(query)) return storageFirst(parts, query, asking);
  const { pointsAtNested } = parts.repository.git.capabilities;
  const isSlow = !pointsAtNested && query.pointsAt?.length && query.ignoreCase !== true;
  return isSlow ? narrowed(parts, query, asking) : asking.ask();
}

function isByNameOnly(query: RefQuery): boolean {
  const isSortedByName = query.sort === undefined || query.sort === 'refname';
  return (
    isSortedByName && query.ignoreCase !== true && query.contains === undefined && query.merged === undefined
  );
}

/**
 * Lists from git, but only the references that the storage has at the objects of the query: an
 * older git reads the objects of all references. If these are many, it does so.
 */
async function* narrowed(
  { repository, stored }: RefSources,
  query: RefQuery,
  { ask, options }: Asking,
): AsyncGenerator<ListedRef[], void> {
  const { patterns, exclude = [], pointsAt = [] } = query;
  const names = await repository.inProcess.attempt(
    'list_refs',
    async () => {
      const found: Buffer[] = [];
      for await (const refs of pointingAt({ repository, stored }, { patterns, exclude, pointsAt }, options)) {
        found.push(...refs.map(({ name }) => name));
        if (!hasFewPatterns({ patterns: found, exclude })) return undefined;
      }
      return found;
    },
    () => undefined,
  );
  const few = names?.length === 0 ? [NO_PATTERN] : names;
  yield* few === undefined ? ask() : askForRefs(repository, { ...query, patterns: few }, options)();
}

/** Lists references at objects from the storage. @throws {FallBackToGit} where only git can. */
async function* pointingAt(
  { repository, stored }: RefSources,
  query: Pick<RefQuery, 'patterns' | 'exclude' | 'pointsAt'>,
  options: ListRefsOptions,
): AsyncGenerator<ListedRef[], void> {
  const all = stored
    .requirePlain()
    .list(query, { peel: looseRefPeeler(repository, options), signal: options.signal });
  const select = await refsPointingAt(repository, query.pointsAt ?? [], options.signal);
  const slice = new LoopSlice();
  for await (const refs of all) {
    yield await select(refs);
    await slice.pause(options.signal);
  }
}

/**
 * Returns a function that peels references whose storage does not contain their targets. git
 * reports a reference without its object.
 *
 * @throws {FallBackToGit} for a damaged `shallow`, which git reports where it reads commits.
 */
function looseRefPeeler(repository: ReadableRepository, { signal }: ListRefsOptions) {
  const { objects } = repository;
  readShallowFile(repository);
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
  parts: RefSources,
  query: RefQuery,
  { ask, options }: Asking,
): AsyncGenerator<ListedRef[], void> {
  const { repository, stored } = parts;
  const progress: Progress = { last: undefined };
  const fromStorage = (): AsyncGenerator<ListedRef[], void> => {
    if (query.pointsAt?.length) return noting(pointingAt(parts, query, options), progress);
    const peel = options.peel === true ? looseRefPeeler(repository, options) : undefined;
    return noting(stored.requirePlain().list(query, { peel, signal: options.signal }), progress);
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
