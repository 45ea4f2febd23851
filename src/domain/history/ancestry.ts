import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { GitExitError } from '#git/command/process/exit-error';
import { type AncestryQuestion, askMergeBase, isAncestor } from '#git/history/graph/is-ancestor';
import type { Repository } from '#storage/repository';

/**
 * Reports whether a commit is an ancestor of another.
 *
 * @throws {GitalyError} UNKNOWN `invalid commit: "x"` for an object that does not exist,
 *   `determine ancestry: exit status 128, stderr: "…"` for one that is not a commit.
 */
export async function ancestry(
  repository: Repository,
  question: AncestryQuestion,
  signal: AbortSignal,
): Promise<boolean> {
  if (await isAncestor(repository, question, { signal })) return true;
  const { ancestor, descendant } = question;
  const objects = [ancestor, descendant].map((oid) => repository.objects.info(oid, { signal }));
  if ((await Promise.all(objects)).every((object) => object?.type === 'commit')) return false;
  try {
    return await askMergeBase(repository, question, { signal });
  } catch (error) {
    if (!(error instanceof GitExitError) || signal.aborted) throw error;
    const [, unknown] = /^fatal: Not a valid commit name (\S+)\n/.exec(error.stderr) ?? [];
    const text =
      unknown === undefined
        ? `determine ancestry: ${error.message}, stderr: ${quote(error.stderr)}`
        : `invalid commit: ${quote(unknown)}`;
    throw new GitalyError('UNKNOWN', text, { cause: error });
  }
}
