import type { GitRepository } from '../repository.ts';
import type { Sides } from './commands.ts';
import type { AskGit, TreePair } from './diff-outputs.ts';
import { diffOfTrees, rawOfTrees, type TextFormat } from './in-process/diff-trees.ts';
import { plainTrees } from './plain-trees.ts';

/** A comparison of two revisions. */
export interface TreeOutputQuery {
  readonly sides: Sides;
  /** `raw`: `--raw -z` with renames and full ids. */
  readonly format: TextFormat | 'raw';
  readonly signal: AbortSignal;
}

/**
 * Yields the output of git for two revisions: one that is kept, one made in process, or that of
 * `askGit`. The chunks must not be changed.
 *
 * @param askGit Gets the trees where they alone determine the output. Returns whether the output
 *   may be kept for these trees. Its signal is not that of the call: others may read the output.
 */
export async function* treeOutput(
  repository: GitRepository,
  { sides, format, signal }: TreeOutputQuery,
  askGit: (trees: TreePair | undefined, signal: AbortSignal) => ReturnType<AskGit>,
): AsyncGenerator<Buffer, void, undefined> {
  const trees = await plainTrees(repository, sides, signal);
  if (trees === undefined) {
    yield* askGit(undefined, signal);
    return;
  }
  const question =
    format === 'raw'
      ? {
          question: 'changed_files' as const,
          compare: () =>
            rawOfTrees(repository, trees, {
              renames: { minimum: 50, attributes: trees.attributes },
              signal,
            }),
        }
      : {
          question: 'diff_files' as const,
          compare: () => diffOfTrees(repository, trees, { format, signal }),
        };
  yield* repository.diffOutputs.read(
    repository,
    { name: format, trees },
    { ...question, askGit: (until) => askGit(trees, until), signal },
  );
}
