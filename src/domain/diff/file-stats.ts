import { outputBytes } from '#git/command/output';
import { numstatCommand, type Sides } from '#git/diff/commands';
import type { TreePair } from '#git/diff/diff-outputs';
import { type FileStat, parseNumstat } from '#git/diff/parse/numstat';
import { treeOutput } from '#git/diff/tree-output';
import type { Repository } from '#storage/repository';
import { checked } from './diff-failure.ts';
import { headAttributes } from './head-attributes.ts';

export interface FileStatsOptions {
  readonly signal: AbortSignal;
  /** Treats the paths of the sides as names instead of patterns. */
  readonly literalPathspecs?: boolean;
}

/**
 * Counts the added and removed lines of each file between two revisions, in git's order, with the
 * attributes of HEAD.
 *
 * @throws {GitalyError} `cmd: …` for a revision that git must not receive; {GitExitError}
 *   {DiffFormatError}.
 */
export async function* fileStats(
  repository: Repository,
  sides: Sides,
  { signal, literalPathspecs = false }: FileStatsOptions,
): AsyncGenerator<readonly FileStat[]> {
  const command = checked(() => numstatCommand(sides, { literalPathspecs }));
  const query = { sides, format: 'numstat', signal } as const;
  yield* parseNumstat(
    treeOutput(repository, query, async function* (trees, until) {
      if (trees !== undefined && repository.git.capabilities.attrTree) {
        yield* statsOfTrees(repository, trees, until);
        return true;
      }
      await using attributes = await headAttributes(repository, { signal: until });
      yield* outputBytes(repository, command, { signal: until, config: attributes.config });
      return false;
    }),
  );
}

/** git receives the ids of the trees, because a reference may change in the meantime. */
function statsOfTrees(
  repository: Repository,
  { before, after, attributes }: TreePair,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const command = numstatCommand({ left: before, right: after });
  const config = [{ key: 'attr.tree', value: attributes }];
  return outputBytes(repository, command, { signal, config });
}
