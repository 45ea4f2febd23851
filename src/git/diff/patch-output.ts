import type { ConfigPair } from '../command/config.ts';
import { outputBytes } from '../command/output-bytes.ts';
import type { GitRepository } from '../repository.ts';
import { type PatchOptions, patchCommand, type Sides } from './commands.ts';
import { compareTrees } from './compare-trees.ts';
import type { TreePair } from './diff-outputs.ts';
import { plainTrees } from './plain-trees.ts';

export interface PatchQuery extends PatchOptions {
  readonly sides: Sides;
}

interface OutputOptions {
  readonly signal: AbortSignal;
  readonly config: readonly ConfigPair[];
}

/**
 * Yields the output of {@link patchCommand} in the chunks in which it arrives; they must not be
 * changed. A waiting process makes most comparisons of commits, because starting one takes four
 * times as long as the comparison. Small outputs are kept for the next call.
 *
 * @throws {GitalyError} for words that git must not receive; the iteration throws like {@link
 *   outputBytes}, and CANCELLED or DEADLINE_EXCEEDED when aborted.
 */
export function patchOutput(
  repository: GitRepository,
  query: PatchQuery,
  { signal, config }: OutputOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const { sides, wordDiff = false, ignoredSpace, hexLength } = query;
  const command = patchCommand(sides, query);
  return output();

  async function* output(): AsyncGenerator<Buffer, void, undefined> {
    const isPlain = !wordDiff && ignoredSpace === undefined;
    const trees = isPlain ? await plainTrees(repository, sides, signal) : undefined;
    if (trees !== undefined && (yield* keptOrCompared(repository, { trees, hexLength }, signal))) return;
    yield* outputBytes(repository, command, { signal, config });
  }
}

/** @returns whether git compared them, as {@link compareTrees}. */
async function* keptOrCompared(
  repository: GitRepository,
  { trees, hexLength }: Pick<PatchQuery, 'hexLength'> & { readonly trees: TreePair },
  signal: AbortSignal,
): AsyncGenerator<Buffer, boolean, undefined> {
  let isCompared = true;
  yield* repository.diffOutputs.read(repository, { name: `patch ${hexLength}`, trees }, async function* () {
    isCompared = yield* compareTrees(repository, trees, signal);
    return isCompared;
  });
  return isCompared;
}
