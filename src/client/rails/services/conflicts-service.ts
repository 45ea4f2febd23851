import type { Message, MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { CallError } from '#client/call/call-error';
import { conflictFiles, type WholeConflictFile } from '#client/content/collect/conflict-files';
import { timestamp } from '#client/repository/values';
import { type ConflictResolution, resolveConflicts } from '#client/split/resolve-conflicts';
import type { ResolveConflictsRequestHeaderSchema } from '#wire/gen/conflicts_pb';
import { ResolutionError } from './rails-errors.ts';
import { type Items, RepositoryCalls } from './storage-calls.ts';

/** Merge conflicts. @see GitLab: Gitlab::GitalyClient::ConflictsService */
export class ConflictsService extends RepositoryCalls {
  /** Yields the files that conflict when two commits are merged, with conflict markers. */
  listConflictFiles(
    ours: string,
    theirs: string,
    options: { allowTreeConflicts?: boolean; skipContent?: boolean } = {},
  ): Items<WholeConflictFile> {
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

  /**
   * Resolves a conflict with a commit.
   *
   * @throws {ResolutionError} for a resolution that does not fit the conflicts
   */
  async resolveConflicts(
    header: Omit<
      Exclude<MessageInitShape<typeof ResolveConflictsRequestHeaderSchema>, Message>,
      'repository'
    >,
    files: readonly ConflictResolution[],
  ): Promise<void> {
    const remoteStorage = header.targetRepository?.storageName;
    const request = { timestamp: timestamp(), ...header, repository: this.repository };
    try {
      await this.call(
        'long',
        (gitaly) => resolveConflicts(gitaly, request, files),
        remoteStorage === undefined ? {} : { remoteStorage },
      );
    } catch (error) {
      const isText = error instanceof GitalyError && !(error instanceof CallError);
      throw isText ? new ResolutionError(error) : error;
    }
  }
}

/** 15.0 reports some conflicts as UNKNOWN. */
function isRefusal(error: unknown): boolean {
  return error instanceof GitalyError && ['FAILED_PRECONDITION', 'UNKNOWN'].includes(error.code);
}
