import { LoopSlice, mapInTurns } from '#base/async/loop-turns';
import { GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { Comparison } from '#git/diff/changed-paths';
import type { ObjectReader, ReadOptions } from '#git/objects/object-reader';
import type { FindChangedPathsRequest, FindChangedPathsRequest_Request } from '#wire/gen/diff_pb';

/** One revision of a request. */
interface Wanted {
  readonly revision: string;
  readonly type: 'commit' | 'tree';
  /** Prefix of the problem with it. */
  readonly prefix: string;
}

/** Number of revisions that are requested at once. */
const MAX_LOOKUPS = 256;

/**
 * Resolves the revisions that a request compares to full ids.
 *
 * @throws {GitalyError} for the first revision that is empty (INVALID_ARGUMENT) or resolves to
 *   nothing
 * of the right type (NOT_FOUND).
 */
export async function resolveComparisons(
  objects: ObjectReader,
  request: FindChangedPathsRequest,
  options: ReadOptions,
): Promise<Comparison[]> {
  if (request.commits.length > 0 && request.requests.length > 0) {
    throw invalidArgument('cannot specify both commits and requests');
  }
  const wanted: readonly Wanted[][] =
    request.commits.length > 0
      ? await mapInTurns(request.commits, (commit) => ofCommit(commit, []))
      : await mapInTurns(request.requests, wantedOf);
  const oids = (await resolveAll(objects, wanted.flat(), options)).values();
  return await mapInTurns(wanted, (revisions) => {
    const [first, ...rest] = revisions.map(() => oids.next().value ?? '');
    if (first === undefined) throw new GitalyError('UNKNOWN', 'unknown FindChangedPathsRequest type');
    if (revisions[0]?.type === 'tree') return { trees: [first, rest[0] ?? ''] };
    return { commit: first, parents: rest };
  });
}

function wantedOf({ type }: FindChangedPathsRequest_Request): Wanted[] {
  switch (type.case) {
    case 'commitRequest':
      return ofCommit(type.value.commitRevision, type.value.parentCommitRevisions);
    case 'treeRequest':
      return [
        { revision: type.value.leftTreeRevision, type: 'tree', prefix: 'resolving left tree' },
        { revision: type.value.rightTreeRevision, type: 'tree', prefix: 'resolving right tree' },
      ];
    case undefined:
      return [];
  }
}

function ofCommit(commit: string, parents: readonly string[]): Wanted[] {
  return [
    { revision: commit, type: 'commit', prefix: 'resolving commit' },
    ...parents.map((revision): Wanted => ({ revision, type: 'commit', prefix: 'resolving commit parent' })),
  ];
}

async function resolveAll(
  objects: ObjectReader,
  wanted: readonly Wanted[],
  options: ReadOptions,
): Promise<string[]> {
  const oids: string[] = [];
  const slice = new LoopSlice();
  for (let at = 0; at < wanted.length; at += MAX_LOOKUPS) {
    await slice.pause(options.signal);
    const lookups = wanted.slice(at, at + MAX_LOOKUPS).map((one) => resolveOne(objects, one, options));
    // The first failure in the order of the request is reported, not the first in time.
    for (const result of await Promise.allSettled(lookups)) {
      if (result.status === 'rejected') throw result.reason;
      oids.push(result.value);
    }
  }
  return oids;
}

async function resolveOne(
  objects: ObjectReader,
  { revision, type, prefix }: Wanted,
  options: ReadOptions,
): Promise<string> {
  try {
    if (revision === '') throw invalidArgument('revision cannot be empty');
    const found = await objects.info(`${revision}^{${type}}`, options);
    if (found === undefined)
      throw new GitalyError('NOT_FOUND', `revision can not be found: ${quote(revision)}`);
    return found.oid;
  } catch (error) {
    throw wrap(error, prefix);
  }
}
