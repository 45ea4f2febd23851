import type { CommitOf } from '#git/history/read-commits';
import { type CommitMessage, toCommitMessage } from '../convert/commit.ts';

/** Commits that were read, one by one, as messages. */
export async function* commitMessages(batches: AsyncIterable<readonly CommitOf<unknown>[]>): AsyncGenerator<CommitMessage> {
  for await (const batch of batches) for (const { commit } of batch) yield toCommitMessage(commit);
}
