import { type TextOrBytes, toBytes } from '#client/repository/values';
import { type Content, splitBytes } from '#client/split/split-bytes';
import { splitItems } from '#client/split/split-items';
import type { ApplyBfgObjectMapStreamResponse_Entry } from '#wire/gen/cleanup_pb';
import { ArgumentError } from './rails-errors.ts';
import { type Items, RepositoryCalls, type RepositoryInit } from './storage-calls.ts';
import { translated } from './translate-errors.ts';

/** Removal of data from the history. @see GitLab: Gitlab::GitalyClient::CleanupService */
export class CleanupService extends RepositoryCalls {
  /**
   * Removes references to rewritten commits, given the object map of BFG or git filter-repo: lines
   * `<old id> <new id>`. Yields the result for each line.
   */
  applyBfgObjectMapStream(objectMap: Content): Items<ApplyBfgObjectMapStreamResponse_Entry> {
    const { repository } = this;
    const requests = async function* () {
      yield { repository };
      for await (const part of splitBytes(objectMap)) yield { objectMap: part };
    };
    return this.items('long', (gitaly) => gitaly.cleanup.applyBfgObjectMapStream(requests()), 'entries');
  }

  /**
   * Removes blobs from the whole history, and replaces texts in it.
   *
   * @param blobs full object ids
   * @param redactions in the form of git filter-repo's `--replace-text`, without line feeds
   * @throws {ArgumentError} for a list that the server refuses
   */
  async rewriteHistory({
    blobs = [],
    redactions = [],
  }: {
    readonly blobs?: readonly string[];
    readonly redactions?: readonly TextOrBytes[];
  }): Promise<void> {
    const requests = rewriteRequests(this.repository, blobs, redactions.map(toBytes));
    const rewritten = this.call('long', (gitaly) => gitaly.cleanup.rewriteHistory(requests));
    await translated(rewritten, { codes: { INVALID_ARGUMENT: (error) => new ArgumentError(error) } });
  }
}

/** Rails sends the repository alone, then at most 100 items a message. */
async function* rewriteRequests(
  repository: RepositoryInit,
  blobs: readonly string[],
  redactions: readonly Uint8Array[],
) {
  yield { repository };
  for await (const group of splitItems(blobs)) yield { blobs: group };
  for await (const group of splitItems(redactions)) yield { redactions: group };
}
