import { GitExitError } from '../command/exit-error.ts';
import { flag, gitCommand } from '../command/git-command.ts';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';

/** Two revisions, tags peeled. */
export interface AncestryQuestion {
  readonly ancestor: string;
  readonly descendant: string;
}

/**
 * Whether a commit is reached from another, as `git merge-base --is-ancestor` says; `false` also when one of them is no commit.
 *
 * @throws {GitalyError} without a code for a revision that starts with a dash.
 */
export async function isAncestor(
  git: Git,
  repository: GitRepository,
  { ancestor, descendant }: AncestryQuestion,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<boolean> {
  const command = gitCommand('merge-base', { options: [flag('--is-ancestor')], args: [ancestor, descendant] });
  try {
    await git.run(command, { repository, signal });
    return true;
  } catch (error) {
    if (!(error instanceof GitExitError) || signal?.aborted === true) throw error;
    return false;
  }
}
