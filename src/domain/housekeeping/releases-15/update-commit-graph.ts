import type { Repository } from '#storage/repository';
import { readCommitGraphInfo } from '#storage/statistics/commit-graph';
import { writeCommitGraph } from '../commands/write-commit-graph.ts';
import { isOutdatedCommitGraph } from '../decisions/commit-graph.ts';

/** Adds a layer to the commit-graph, or writes it anew if it lacks data. */
export async function updateCommitGraph(repository: Repository, signal: AbortSignal): Promise<void> {
  const replaceChain = isOutdatedCommitGraph(await readCommitGraphInfo(repository.path));
  await writeCommitGraph(repository, { replaceChain }, signal);
}
