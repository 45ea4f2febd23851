import { statSync } from 'node:fs';
import { outputLines } from '../command/output-lines.ts';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';
import { forEachRef, type RefQuery } from './for-each-ref.ts';
import type { ListedRef } from './listed-ref.ts';
import { OddReferencesError } from './odd-references.ts';
import { isSorted } from './packed-refs.ts';
import type { PackedRefsCache, PackedRefsFile } from './packed-refs-cache.ts';
import { matchAsPath, prefixesOf } from './ref-patterns.ts';
import { scanPackedRefs } from './scan-packed-refs.ts';
import { walkLooseRefs } from './walk-loose-refs.ts';

export interface ListOptions {
  /** Tells what tag objects finally point to. */
  readonly peel?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ListParts {
  readonly git: Git;
  readonly repository: GitRepository;
  readonly packed: PackedRefsCache;
  /** Whether references may be read from files: a plain repository with a usable HEAD. */
  readonly isPlain: () => boolean;
  /** Follows a reference in the files. */
  readonly resolve: (name: Buffer) => { readonly oid: string } | 'odd' | undefined;
}

const NUL = 0;
const SPACE = 0x20;

/**
 * Lists references as `git for-each-ref` does, as many at once as are at hand. From the files of the repository when nothing but names
 * is asked for, else (and wherever the files are unusual) from git. Nothing is started, and nothing read, before the first `next`.
 *
 * @throws {GitalyError} at once, for words that git must not see; {GitExitError} while iterating, when git fails.
 */
export function listRefs(parts: ListParts, query: RefQuery, options: ListOptions = {}): AsyncGenerator<ListedRef[], void> {
  const { forEachRefExclude: knowsExclude } = parts.git.capabilities;
  const format = options.peel === true ? '%(objectname) %(refname)%00%(*objecttype) %(*objectname)' : '%(objectname) %(refname)';
  const excludesHere = !knowsExclude && query.exclude !== undefined && query.exclude.length > 0;
  const { limit, ...unlimited } = query;
  const command = forEachRef(excludesHere ? unlimited : query, format, { knowsExclude });
  const fromGit = (after?: Buffer): AsyncGenerator<ListedRef[], void> => {
    const lines = outputLines(parts.git, parts.repository, command, { signal: options.signal });
    const excludes = excludesHere ? (query.exclude ?? []) : [];
    return parseLines(parts, lines, { excludes, ignoreCase: query.ignoreCase === true, after });
  };
  const isForGit = options.peel === true || !isByNameOnly(query);
  return limited(isForGit ? fromGit() : fromFiles(parts, query, fromGit), limit);
}

function isByNameOnly({ sort, ignoreCase, pointsAt, contains, merged }: RefQuery): boolean {
  const isSortedByName = sort === undefined || sort === 'refname';
  return isSortedByName && ignoreCase !== true && !pointsAt?.length && contains === undefined && merged === undefined;
}

async function* fromFiles(
  parts: ListParts,
  query: RefQuery,
  fromGit: (after?: Buffer) => AsyncGenerator<ListedRef[], void>,
): AsyncGenerator<ListedRef[], void> {
  let last: Buffer | undefined;
  try {
    for await (const refs of walkFiles(parts, query)) {
      last = refs.at(-1)?.name ?? last;
      if (refs.length > 0) yield refs;
    }
  } catch (error) {
    if (!(error instanceof OddReferencesError)) throw error;
    yield* fromGit(last);
  }
}

/** @throws {OddReferencesError} when the rest of the list has to come from git. */
async function* walkFiles(parts: ListParts, query: RefQuery): AsyncGenerator<ListedRef[], void> {
  const { repository, packed, resolve } = parts;
  if (!parts.isPlain() || !isDirectory(repository.objectDirectory)) throw new OddReferencesError('not a plain repository');
  const digits = parts.git.objectFormat(repository) === 'sha1' ? 40 : 64;
  const patterns = query.patterns.map((pattern) => Buffer.from(pattern));
  const matches = matchAsPath(patterns);
  const isExcluded = matchAsPath(query.exclude ?? []);
  const hasExcludes = query.exclude !== undefined && query.exclude.length > 0;

  const ranges = prefixesOf(patterns);
  // Loose files come first: git writes packed-refs before it removes the files that are in it.
  const loose = await Promise.all(ranges.map(({ prefix }) => walkLooseRefs(repository.path, { prefix, resolve })));
  using file = packed.open(repository.path);
  if (file !== undefined && !isSorted(file.source)) throw new OddReferencesError('packed-refs is not sorted');
  for (const [index, { prefix, isWhole }] of ranges.entries()) {
    for await (const refs of merged(loose[index] ?? [], file, { prefix, digits })) {
      const matching = isWhole ? refs : refs.filter(({ name }) => matches(name));
      yield hasExcludes ? matching.filter(({ name }) => !isExcluded(name)) : matching;
    }
  }
}

/** Loose and packed references in the order of names; a loose one hides the packed one of its name. */
async function* merged(
  loose: ListedRef[],
  file: PackedRefsFile | undefined,
  options: { prefix: Buffer; digits: 40 | 64 },
): AsyncGenerator<ListedRef[], void> {
  let at = 0;
  if (file !== undefined) {
    for await (const refs of scanPackedRefs(file, options)) {
      if (at === loose.length) {
        yield [...refs];
        continue;
      }
      const batch: ListedRef[] = [];
      for (const ref of refs) {
        let order = -1;
        for (let next = loose[at]; next !== undefined; next = loose[at]) {
          order = Buffer.compare(next.name, ref.name);
          if (order > 0) break;
          batch.push(next);
          at++;
          if (order === 0) break;
        }
        if (order !== 0) batch.push(ref);
      }
      yield batch;
    }
  }
  yield loose.slice(at);
}

async function* parseLines(
  { git, repository }: ListParts,
  batches: AsyncIterable<Buffer[]>,
  { excludes, ignoreCase, after }: { excludes: readonly Uint8Array[]; ignoreCase: boolean; after: Buffer | undefined },
): AsyncGenerator<ListedRef[], void> {
  const isExcluded = excludes.length === 0 ? undefined : matchAsPath(excludes, { ignoreCase });
  for await (const lines of batches) {
    const refs: ListedRef[] = [];
    for (const line of lines) {
      const ref = parseLine(line);
      if (isExcluded?.(ref.name) === true || (after !== undefined && Buffer.compare(ref.name, after) <= 0)) continue;
      refs.push(ref.peeledType === 'tag' ? { ...ref, peeledOid: await peel(git, repository, ref.oid) } : ref);
    }
    if (refs.length > 0) yield refs;
  }
}

function parseLine(line: Buffer): ListedRef & { readonly peeledType?: string } {
  const space = line.indexOf(SPACE);
  const nul = line.indexOf(NUL);
  const oid = line.toString('latin1', 0, space);
  const name = line.subarray(space + 1, nul === -1 ? line.length : nul);
  const [peeledType, peeledOid] = nul === -1 ? [] : line.toString('latin1', nul + 1).split(' ');
  return { name, oid, peeledOid: peeledOid || undefined, isPeelKnown: nul !== -1, ...(peeledType && { peeledType }) };
}

/** Older versions of git peel one tag only. */
async function peel(git: Git, repository: GitRepository, oid: string): Promise<string | undefined> {
  return (await git.objects(repository).info(`${oid}^{}`))?.oid;
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

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
