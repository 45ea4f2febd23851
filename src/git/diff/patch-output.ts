import { statSync } from 'node:fs';
import type { ConfigPair } from '../command/config.ts';
import { outputBytes } from '../command/output-bytes.ts';
import type { Arg } from '../command/spawner/spawner.ts';
import { isPlainRevision } from '../history/plain-revision.ts';
import type { GitRepository } from '../repository.ts';
import { type PatchOptions, patchCommand, type Sides } from './commands.ts';
import { compareTrees, type TreePair } from './compare-trees.ts';
import { hasPlainSettings } from './plain-settings.ts';

export interface PatchQuery extends PatchOptions {
  readonly sides: Sides;
}

interface OutputOptions {
  readonly signal: AbortSignal;
  readonly config: readonly ConfigPair[];
}

/**
 * Yields the output of {@link patchCommand} in the chunks in which it arrives. A waiting process
 * makes most comparisons of commits, because starting one takes four times as long as the
 * comparison.
 *
 * @throws {GitalyError} for words that git must not receive; the iteration throws like {@link
 *   outputBytes}, and CANCELLED or DEADLINE_EXCEEDED when aborted.
 */
export function patchOutput(
  repository: GitRepository,
  query: PatchQuery,
  { signal, config }: OutputOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const command = patchCommand(query.sides, query);
  return output();

  async function* output(): AsyncGenerator<Buffer, void, undefined> {
    const trees = isPlain(repository, query) ? await treesOf(repository, query.sides, signal) : undefined;
    if (trees !== undefined && (yield* compareTrees(repository, trees, signal))) return;
    yield* outputBytes(repository, command, { signal, config });
  }
}

/**
 * Reports whether the result depends only on the trees of two commits, for `git diff` and for the
 * plumbing, which respects fewer settings.
 */
function isPlain(repository: GitRepository, { sides, wordDiff = false, ignoredSpace }: PatchQuery): boolean {
  const { left, right, paths = [] } = sides;
  if (wordDiff || ignoredSpace !== undefined || paths.length > 0 || !repository.git.capabilities.attrTree)
    return false;
  if (![left, right].every((side) => isPlainSide(repository, side))) return false;
  // A process reads the file only once, so a waiting process cannot be used.
  if (statSync(`${repository.path}/info/attributes`, { throwIfNoEntry: false }) !== undefined) return false;
  return hasPlainSettings(repository, 'diff');
}

function isPlainSide({ objectFormat }: GitRepository, side: Arg): boolean {
  return typeof side === 'string' && isPlainRevision(side, objectFormat);
}

/** Returns the trees; `undefined` if one is missing: git then reports the error. */
async function treesOf(
  repository: GitRepository,
  { left, right }: Sides,
  signal: AbortSignal,
): Promise<TreePair | undefined> {
  const objects = repository.objects;
  const names = [`${left}^{tree}`, `${right}^{tree}`, 'HEAD^{tree}'];
  const [before, after, attributes] = await Promise.all(names.map((name) => objects.info(name, { signal })));
  if (before === undefined || after === undefined || attributes === undefined) return undefined;
  return { before: before.oid, after: after.oid, attributes: attributes.oid };
}
