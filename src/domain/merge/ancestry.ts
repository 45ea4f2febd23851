import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { GitExitError } from '#git/command/exit-error';
import { flag, gitCommand } from '#git/command/git-command';
import { type AncestryQuestion, isAncestor } from '#git/history/is-ancestor';
import type { Repository } from '#storage/repository';

/**
 * Whether a commit is reached from another.
 *
 * @throws {GitalyError} `invalid commit: "x"` for an object that is not there, `determine ancestry: exit status 128, stderr: "…"` for one that is
 *   no commit; both without a code of their own.
 */
export async function ancestry(repository: Repository, question: AncestryQuestion, signal: AbortSignal): Promise<boolean> {
  if (await isAncestor(repository.git, repository, question, { signal })) return true;
  const { ancestor, descendant } = question;
  const objects = [ancestor, descendant].map((oid) => repository.objects.info(oid, { signal }));
  if ((await Promise.all(objects)).every((object) => object?.type === 'commit')) return false;
  const command = gitCommand('merge-base', { options: [flag('--is-ancestor')], args: [ancestor, descendant] });
  try {
    await repository.run(command, { signal });
    return true;
  } catch (error) {
    if (!(error instanceof GitExitError) || signal.aborted) throw error;
    if (error.exitCode === 1) return false;
    const [, unknown] = /^fatal: Not a valid commit name (\S+)\n/.exec(error.stderr) ?? [];
    const text =
      unknown === undefined
        ? `determine ancestry: ${error.message}, stderr: ${quote(error.stderr)}`
        : `invalid commit: ${quote(unknown)}`;
    throw new GitalyError('UNKNOWN', text, { cause: error });
  }
}
