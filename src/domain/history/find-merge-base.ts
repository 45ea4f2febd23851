import { gitCommand } from '#git/command/git-command';
import { FallBackToGit } from '#git/command/in-process';
import { GitExitError } from '#git/command/process/exit-error';
import { nearMergeBase } from '#git/history/graph/merge-base';
import { requirePlainRevisions, resolveCommits } from '#git/history/graph/plain-revision';
import type { Repository } from '#storage/repository';

/**
 * Returns the best common ancestor of the first revision and a merge of the others, as `git
 * merge-base` prints it; `undefined` if there is none, or a revision leads to no commit.
 *
 * @throws {GitalyError} without a code for a revision that git must not receive.
 */
export async function findMergeBase(
  repository: Repository,
  revisions: readonly Buffer[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const command = gitCommand('merge-base', { args: revisions });
  const [one, other, ...rest] = revisions.map((revision) => revision.toString('latin1'));
  return await repository.inProcess.attempt(
    'merge_base',
    async () => {
      if (one === undefined || other === undefined || rest.length > 0)
        throw new FallBackToGit('more than two revisions');
      requirePlainRevisions([one, other], repository.objectFormat);
      const [first, second] = await resolveCommits(repository.objects, [one, other], { signal });
      if (first === undefined || second === undefined) return undefined;
      return await nearMergeBase(repository, first, second);
    },
    async () => {
      try {
        const output = (await repository.run(command, { signal })).toString('latin1');
        return output.slice(0, output.indexOf('\n'));
      } catch (error) {
        if (!(error instanceof GitExitError) || signal.aborted) throw error;
        return undefined;
      }
    },
  );
}
