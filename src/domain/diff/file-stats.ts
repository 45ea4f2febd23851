import { outputBytes } from '#git/command/output-bytes';
import { numstatCommand, type Sides } from '#git/diff/commands';
import type { TreePair } from '#git/diff/diff-outputs';
import { type FileStat, parseNumstat } from '#git/diff/numstat';
import { plainTrees } from '#git/diff/plain-trees';
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
  const options = { literalPathspecs };
  const command = checked(() => numstatCommand(sides, options));
  const trees = await plainTrees(repository, sides, signal);
  if (trees !== undefined) {
    yield* parseNumstat(statsOfTrees(repository, trees, signal));
    return;
  }
  await using attributes = await headAttributes(repository, { signal });
  const { config } = attributes;
  yield* parseNumstat(outputBytes(repository, command, { signal, config }));
}

/** A reference may move meanwhile, so git gets the ids of the trees. */
function statsOfTrees(
  repository: Repository,
  trees: TreePair,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const command = numstatCommand({ left: trees.before, right: trees.after });
  const config = [{ key: 'attr.tree', value: trees.attributes }];
  return repository.diffOutputs.read(repository, { name: 'numstat', trees }, async function* () {
    yield* outputBytes(repository, command, { signal, config });
    return true;
  });
}
