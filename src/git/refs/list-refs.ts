import { mapAhead } from '#base/map-ahead';
import type { Git } from '../git.ts';
import { type AskOptions, askForRefs } from './ask-for-refs.ts';
import type { RefQuery } from './for-each-ref.ts';
import type { ListedRef } from './listed-ref.ts';
import { OddReferencesError } from './odd-references.ts';
import { type WalkParts, walkRefFiles } from './walk-ref-files.ts';

export type ListOptions = AskOptions;

/** Objects that are looked up at once. */
const PEEL_AHEAD = 256;

export interface ListParts extends Omit<WalkParts, 'digits' | 'peel'> {
  readonly git: Git;
  /** Whether references may be read from files: a plain repository with a usable HEAD. */
  readonly isPlain: () => boolean;
}

/**
 * Lists references as `git for-each-ref` does, as many at once as are at hand. From the files of the repository when they have all
 * that is asked for, else (and wherever the files are unusual) from git. Nothing is started, and nothing read, before the first `next`.
 *
 * @throws {GitalyError} at once, for words that git must not see; {GitExitError} while iterating, when git fails.
 */
export function listRefs(parts: ListParts, query: RefQuery, options: ListOptions = {}): AsyncGenerator<ListedRef[], void> {
  const ask = askForRefs(parts.git, parts.repository, query, options);
  const peel = options.peel === true ? looseRefPeeler(parts, options) : undefined;
  return limited(isByNameOnly(query) ? fromFiles({ ...parts, peel }, query, ask) : ask(), query.limit);
}

function isByNameOnly({ sort, ignoreCase, pointsAt, contains, merged }: RefQuery): boolean {
  const isSortedByName = sort === undefined || sort === 'refname';
  return isSortedByName && ignoreCase !== true && !pointsAt?.length && contains === undefined && merged === undefined;
}

/** Packed references know what tags lead to, loose ones do not. A reference without its object is for git to complain of. */
function looseRefPeeler({ git, repository }: ListParts, { signal }: ListOptions) {
  const objects = git.objects(repository);
  const peel = async (ref: ListedRef): Promise<ListedRef> => {
    const object = await objects.info(ref.oid, { signal });
    const end = object?.type === 'tag' ? await objects.info(`${ref.oid}^{}`, { signal }) : object;
    if (end === undefined) throw new OddReferencesError('an object is missing');
    return { ...ref, peeledOid: object?.type === 'tag' ? end.oid : undefined, isPeelKnown: true };
  };
  return (refs: readonly ListedRef[]): Promise<ListedRef[]> => Array.fromAsync(mapAhead(refs, PEEL_AHEAD, peel));
}

async function* fromFiles(
  parts: ListParts & Pick<WalkParts, 'peel'>,
  query: RefQuery,
  ask: (after?: Buffer) => AsyncGenerator<ListedRef[], void>,
): AsyncGenerator<ListedRef[], void> {
  let last: Buffer | undefined;
  try {
    if (!parts.isPlain()) throw new OddReferencesError('not a plain repository');
    const digits = parts.git.objectFormat(parts.repository) === 'sha1' ? 40 : 64;
    for await (const refs of walkRefFiles({ ...parts, digits }, query)) {
      last = refs.at(-1)?.name ?? last;
      if (refs.length > 0) yield refs;
    }
  } catch (error) {
    if (!(error instanceof OddReferencesError)) throw error;
    yield* ask(last);
  }
}

async function* limited(batches: AsyncIterable<ListedRef[]>, limit: number | undefined): AsyncGenerator<ListedRef[], void> {
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
