import type { Message, MessageInitShape } from '@bufbuild/protobuf';
import { diffs, type WholeDiff } from '#client/content/collect/diffs';
import { eachItem } from '#client/content/collect/each-item';
import type {
  ChangedPaths,
  CommitDelta,
  CommitDiffRequestSchema,
  DiffStats,
  FindChangedPathsRequestSchema,
} from '#wire/gen/diff_pb';
import { RepositoryCalls } from './storage-calls.ts';

/** Limits and settings of a difference, as in requests of CommitDiff. */
export type DiffOptions = Omit<
  Exclude<MessageInitShape<typeof CommitDiffRequestSchema>, Message>,
  '$typeName' | '$unknown' | 'repository' | 'leftCommitId' | 'rightCommitId'
>;

/** Which changed paths are listed, as in requests of FindChangedPaths. */
export type ChangedPathsOptions = Pick<
  Exclude<MessageInitShape<typeof FindChangedPathsRequestSchema>, Message>,
  'diffFilters' | 'findRenames' | 'mergeCommitDiffMode'
>;

/**
 * Differences of commits. @see GitLab: the diffs of Gitlab::GitalyClient::CommitService, and
 * Gitlab::GitalyClient::DiffService
 */
export class DiffService extends RepositoryCalls {
  /** Yields the changed files with whole patches; `overflowMarker` ends a list that was cut. */
  diff(
    leftCommitId: string,
    rightCommitId: string,
    options: DiffOptions = {},
  ): AsyncGenerator<WholeDiff, void, undefined> {
    const request = { repository: this.repository, leftCommitId, rightCommitId, ...options };
    return this.each('medium', (gitaly) => diffs(gitaly.diff.commitDiff(request)));
  }

  /** Yields the changed files without patches. */
  commitDeltas(leftCommitId: string, rightCommitId: string): AsyncGenerator<CommitDelta, void, undefined> {
    const request = { repository: this.repository, leftCommitId, rightCommitId };
    return this.each('fast', (gitaly) => eachItem(gitaly.diff.commitDelta(request), ({ deltas }) => deltas));
  }

  /** Yields the numbers of changed lines by file. */
  diffStats(leftCommitId: string, rightCommitId: string): AsyncGenerator<DiffStats, void, undefined> {
    const request = { repository: this.repository, leftCommitId, rightCommitId };
    return this.each('medium', (gitaly) => eachItem(gitaly.diff.diffStats(request), ({ stats }) => stats));
  }

  /** Yields the paths that commits changed, each compared with its parents. */
  findChangedPaths(
    commitRevisions: readonly string[],
    options: ChangedPathsOptions = {},
  ): AsyncGenerator<ChangedPaths, void, undefined> {
    const requests = commitRevisions.map((commitRevision) => ({
      type: { case: 'commitRequest' as const, value: { commitRevision } },
    }));
    return this.each('medium', (gitaly) =>
      eachItem(
        gitaly.diff.findChangedPaths({ repository: this.repository, requests, ...options }),
        ({ paths }) => paths,
      ),
    );
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
