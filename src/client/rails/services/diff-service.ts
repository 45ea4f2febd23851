import type { Message, MessageInitShape } from '@bufbuild/protobuf';
import { blobDiffs, diffs, type WholeBlobDiff, type WholeDiff } from '#client/content/collect/diffs';
import type {
  ChangedPaths,
  CommitDelta,
  CommitDiffRequestSchema,
  DiffBlobsRequestSchema,
  DiffStats,
  FindChangedPathsRequestSchema,
} from '#wire/gen/diff_pb';
import type { GitCommit } from '#wire/gen/shared_pb';
import { type Items, RepositoryCalls } from './storage-calls.ts';

/** Limits and settings of a difference, as in requests of CommitDiff. */
export type CommitDiffOptions = Omit<
  Exclude<MessageInitShape<typeof CommitDiffRequestSchema>, Message>,
  '$typeName' | '$unknown' | 'repository' | 'leftCommitId' | 'rightCommitId'
>;

/** Which changed paths are listed, as in requests of FindChangedPaths. */
export type ChangedPathsOptions = Pick<
  Exclude<MessageInitShape<typeof FindChangedPathsRequestSchema>, Message>,
  'diffFilters' | 'findRenames' | 'mergeCommitDiffMode'
>;

/** Settings of a difference of blobs, as in requests of DiffBlobs. */
export type DiffBlobsOptions = Pick<
  Exclude<MessageInitShape<typeof DiffBlobsRequestSchema>, Message>,
  'diffMode' | 'patchBytesLimit' | 'whitespaceChanges'
>;

/** Sides of a comparison: a commit and its parents, or two trees. */
export type ChangedPathsPlace = string | { readonly leftTree: string; readonly rightTree: string };

/** The fields of a commit that its difference from its parent needs. */
export type CommitWithParents = Pick<GitCommit, 'id' | 'parentIds'>;

/**
 * Limits of Rails without settings: 100 files with 5000 lines and 5 KiB a file, 200 KiB a patch.
 * @see GitLab: Gitlab::Git::DiffCollection.limits, ApplicationSetting#diff_max_patch_bytes
 */
const LIMITS = {
  enforceLimits: true,
  collapseDiffs: false,
  ...{ maxFiles: 100, maxLines: 5000, maxBytes: 100 * 5 * 1024 },
  ...{ safeMaxFiles: 100, safeMaxLines: 5000, safeMaxBytes: 100 * 5 * 1024 },
  maxPatchBytes: 200 * 1024,
} as const;

const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';
const EMPTY_TREE_SHA256 = '6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321';

/**
 * Differences of commits. @see GitLab: the diffs of Gitlab::GitalyClient::CommitService, and
 * Gitlab::GitalyClient::DiffService
 */
export class DiffService extends RepositoryCalls {
  /**
   * Yields the changed files with whole patches, within the limits of Rails: `tooLarge` files have
   * no patch, and `overflowMarker` ends a list that was cut. `options` replace single limits;
   * `enforceLimits: false` removes all.
   */
  diff(leftCommitId: string, rightCommitId: string, options: CommitDiffOptions = {}): Items<WholeDiff> {
    const request = { repository: this.repository, leftCommitId, rightCommitId, ...LIMITS, ...options };
    return this.each('medium', (gitaly) => diffs(gitaly.diff.commitDiff(request)));
  }

  /** Yields the files that a commit changed, compared with its first parent; see `diff`. */
  diffFromParent(commit: CommitWithParents, options: CommitDiffOptions = {}): Items<WholeDiff> {
    return this.diff(parentOf(commit), commit.id, options);
  }

  /** Yields the changed files without patches. */
  commitDeltas(leftCommitId: string, rightCommitId: string): Items<CommitDelta> {
    const request = { repository: this.repository, leftCommitId, rightCommitId };
    return this.items('fast', (gitaly) => gitaly.diff.commitDelta(request), 'deltas');
  }

  /** Yields the numbers of changed lines by file. */
  diffStats(leftCommitId: string, rightCommitId: string): Items<DiffStats> {
    const request = { repository: this.repository, leftCommitId, rightCommitId };
    return this.items('medium', (gitaly) => gitaly.diff.diffStats(request), 'stats');
  }

  /**
   * Yields the paths that commits changed, each compared with its parents, and those in which two
   * trees differ. Empty and all-zero ids are left out; if no id remains, no call is made.
   */
  async *findChangedPaths(
    places: readonly ChangedPathsPlace[],
    options: ChangedPathsOptions = {},
  ): Items<ChangedPaths> {
    const requests = places.filter((place) => typeof place !== 'string' || /[^0]/.test(place)).map(compared);
    if (requests.length === 0) return;
    yield* this.items(
      'medium',
      (gitaly) => gitaly.diff.findChangedPaths({ repository: this.repository, requests, ...options }),
      'paths',
    );
  }

  /** Yields the differences of pairs of blobs, in their order. The all-zero id means no blob. */
  diffBlobs(
    pairs: Iterable<readonly [left: string, right: string]>,
    options: DiffBlobsOptions = {},
  ): Items<WholeBlobDiff> {
    const blobPairs = Array.from(pairs, ([left, right]) => ({
      leftBlob: Buffer.from(left),
      rightBlob: Buffer.from(right),
    }));
    const request = { repository: this.repository, blobPairs, ...options };
    return this.each('medium', (gitaly) => blobDiffs(gitaly.diff.diffBlobs(request)));
  }

  /** Returns the id of the difference of two revisions, the same for equal patches. */
  getPatchId(oldRevision: string, newRevision: string): Promise<string> {
    const request = {
      repository: this.repository,
      oldRevision: Buffer.from(oldRevision),
      newRevision: Buffer.from(newRevision),
    };
    return this.call('medium', async (gitaly) => (await gitaly.diff.getPatchID(request)).patchId);
  }
}

/** Returns the first parent; for a root commit the empty tree. */
function parentOf({ id, parentIds }: CommitWithParents): string {
  return parentIds[0] ?? (id.length === EMPTY_TREE.length ? EMPTY_TREE : EMPTY_TREE_SHA256);
}

function compared(place: ChangedPathsPlace) {
  if (typeof place === 'string')
    return { type: { case: 'commitRequest' as const, value: { commitRevision: place } } };
  const value = { leftTreeRevision: place.leftTree, rightTreeRevision: place.rightTree };
  return { type: { case: 'treeRequest' as const, value } };
}
