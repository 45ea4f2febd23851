import type { Message, MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { conflictFiles, type WholeConflictFile } from '#client/content/collect/conflict-files';
import { type ConflictResolution, resolveConflicts } from '#client/split/resolve-conflicts';
import type { ResolveConflictsRequestHeaderSchema } from '#wire/gen/conflicts_pb';
import { RepositoryCalls } from './storage-calls.ts';

/** Merge conflicts. @see GitLab: Gitlab::GitalyClient::ConflictsService */
export class ConflictsService extends RepositoryCalls {
  /** Yields the files that conflict when two commits are merged, with conflict markers. */
  listConflictFiles(
    ours: string,
    theirs: string,
    options: { allowTreeConflicts?: boolean; skipContent?: boolean } = {},
  ): AsyncGenerator<WholeConflictFile, void, undefined> {
    const request = { repository: this.repository, ourCommitOid: ours, theirCommitOid: theirs, ...options };
    return this.each('long', (gitaly) => conflictFiles(gitaly.conflicts.listConflictFiles(request)));
  }

  /**
   * Reports whether two commits conflict. A merge that the server cannot make (FAILED_PRECONDITION)
   * counts as a conflict.
   */
  async hasConflicts(ours: string, theirs: string): Promise<boolean> {
    try {
      for await (const _ of this.listConflictFiles(ours, theirs, { skipContent: true })) return true;
      return false;
    } catch (error) {
      if (isRefusal(error)) return true;
      throw error;
    }
  }

  /** Resolves a conflict with a commit. */
  resolveConflicts(
    header: Omit<
      Exclude<MessageInitShape<typeof ResolveConflictsRequestHeaderSchema>, Message>,
      'repository'
    >,
    files: readonly ConflictResolution[],
  ): Promise<void> {
    const remoteStorage = header.targetRepository?.storageName;
    return this.call(
      'long',
      (gitaly) => resolveConflicts(gitaly, { ...header, repository: this.repository }, files),
      remoteStorage === undefined ? {} : { remoteStorage },
    );
  }
}

/** 15.0 reports some conflicts as UNKNOWN. */
function isRefusal(error: unknown): boolean {
  return error instanceof GitalyError && ['FAILED_PRECONDITION', 'UNKNOWN'].includes(error.code);
}
