import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import { GitExitError } from '#git/command/process/exit-error';
import { type ChangedPathsQuery, changedPaths } from '#git/diff/changed-paths';
import type { ChangeStatus } from '#git/diff/parse/raw-line';
import type { RawRecord } from '#git/diff/parse/raw-records';
import { chunkMessages } from '#services/convert/response/chunk-messages';
import {
  ChangedPaths_Status,
  ChangedPathsSchema,
  FindChangedPathsRequest_DiffStatus as Filter,
  FindChangedPathsRequest_MergeCommitDiffMode as MergeMode,
} from '#wire/gen/diff_pb';
import type { Handlers } from './dependencies.ts';
import { resolveComparisons } from './resolve-comparisons.ts';

type Path = MessageInitShape<typeof ChangedPathsSchema>;

const ALL_KINDS = 'AMDTCR';

const LETTERS: Readonly<Partial<Record<Filter, string>>> = {
  [Filter.ADDED]: 'A',
  [Filter.MODIFIED]: 'M',
  [Filter.DELETED]: 'D',
  [Filter.TYPE_CHANGE]: 'T',
  [Filter.COPIED]: 'C',
  [Filter.RENAMED]: 'R',
};

const STATUSES: Readonly<Partial<Record<ChangeStatus, ChangedPaths_Status>>> = {
  A: ChangedPaths_Status.ADDED,
  M: ChangedPaths_Status.MODIFIED,
  D: ChangedPaths_Status.DELETED,
  T: ChangedPaths_Status.TYPE_CHANGE,
  C: ChangedPaths_Status.COPIED,
  R: ChangedPaths_Status.RENAMED,
};

/**
 * Lists the paths that commits change, or that differ between trees, in the order of the requests.
 */
export const findChangedPaths: Handlers['findChangedPaths'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  const { signal } = context;
  const comparisons = await resolveComparisons(repository.objects, request, { signal });
  const filter = filterOf(request.diffFilters);

  const { findRenames } = request;
  const query = { comparisons, filter, findRenames, merges: mergesOf(request.mergeCommitDiffMode), signal };
  const hasCommits = comparisons.every((comparison) => 'commit' in comparison);
  const batches = changedPaths(repository, query);
  try {
    const paths = each(batches, hasCommits);
    for await (const chunk of chunkMessages(ChangedPathsSchema, paths, pathSizeBound)) yield { paths: chunk };
  } catch (error) {
    if (error instanceof GitExitError)
      throw wrap(error, 'cmd wait err', 'FAILED_PRECONDITION', { metadata: { stderr: error.stderr } });
    throw wrap(error, 'parsing err');
  }
};

function filterOf(filters: readonly Filter[]): string {
  if (filters.length === 0) return ALL_KINDS;
  const letters = filters.map((filter) => {
    const letter = LETTERS[filter];
    if (letter === undefined) throw invalidArgument('invalid diff filter requested');
    return letter;
  });
  return [...new Set(letters)].join('');
}

function mergesOf(mode: MergeMode): ChangedPathsQuery['merges'] {
  switch (mode) {
    case MergeMode.UNSPECIFIED:
    case MergeMode.INCLUDE_MERGES:
      return 'each';
    case MergeMode.ALL_PARENTS:
      return 'all';
    default:
      return 'none';
  }
}

async function* each(
  batches: AsyncIterable<readonly RawRecord[]>,
  hasCommits: boolean,
): AsyncGenerator<Path> {
  for await (const records of batches) for (const record of records) yield* pathMessages(record, hasCommits);
}

/** Yields one message for each source that the file was compared with. */
function* pathMessages(record: RawRecord, hasCommits: boolean): Generator<Path> {
  const { sources, newMode, newOid, path, oldPath, commitOid } = record;
  for (const { status, mode, oid } of sources) {
    const wireStatus = STATUSES[status];
    if (wireStatus === undefined)
      throw new GitalyError('INTERNAL', `unknown changed paths returned: ${status}`);
    yield {
      status: wireStatus,
      path,
      oldMode: mode,
      newMode,
      oldBlobId: oid,
      newBlobId: newOid,
      ...(oldPath && { oldPath }),
      ...(hasCommits && commitOid !== undefined && { commitId: commitOid }),
    };
  }
}

/**
 * Returns a number that the encoded size never exceeds: nine tags with their numbers or lengths
 * take less than 64 bytes.
 */
function pathSizeBound({ path, oldPath, oldBlobId = '', newBlobId = '', commitId = '' }: Path): number {
  return (
    64 + (path?.length ?? 0) + (oldPath?.length ?? 0) + oldBlobId.length + newBlobId.length + commitId.length
  );
}
