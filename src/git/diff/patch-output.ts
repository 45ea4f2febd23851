import type { ConfigPair } from '../command/config.ts';
import { outputBytes } from '../command/output.ts';
import type { GitRepository } from '../repository.ts';
import { type PatchOptions, patchCommand, type Sides } from './commands.ts';
import { compareTrees } from './compare-trees.ts';
import { treeOutput } from './tree-output.ts';

export interface PatchQuery extends PatchOptions {
  readonly sides: Sides;
}

interface OutputOptions {
  readonly signal: AbortSignal;
  /** Returns settings for git; called only if it compares the commits by their names. */
  readonly config: () => Promise<readonly ConfigPair[]>;
}

/**
 * Yields the output of {@link patchCommand} in the chunks in which it arrives; they must not be
 * changed. Small comparisons of commits are made in process, most others by a waiting process,
 * because starting one takes four times as long as the comparison. Small outputs are kept for the
 * next call.
 *
 * @throws {GitalyError} for words that git must not receive; the iteration throws like {@link
 *   outputBytes}, and CANCELLED or DEADLINE_EXCEEDED when aborted.
 */
export function patchOutput(
  repository: GitRepository,
  query: PatchQuery,
  { signal, config }: OutputOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const { sides, wordDiff = false, ignoredSpace } = query;
  const command = patchCommand(sides, query);
  const askGit = async function* (until: AbortSignal) {
    yield* outputBytes(repository, command, { signal: until, config: await config() });
  };
  if (wordDiff || ignoredSpace !== undefined) return askGit(signal);
  return treeOutput(repository, { sides, format: 'raw and patch', signal }, async function* (trees, until) {
    const canWait = trees !== undefined && repository.git.capabilities.attrTree;
    if (canWait && (yield* compareTrees(repository, trees, until))) return true;
    yield* askGit(until);
    return false;
  });
}
