import { statSync } from 'node:fs';
import type { Arg } from '../command/spawner/spawner.ts';
import { isPlainRevision } from '../history/graph/plain-revision.ts';
import { hasOtherParents } from '../refs/list/list-branch-tips.ts';
import type { GitRepository } from '../repository.ts';
import type { Sides } from './commands.ts';
import type { TreePair } from './diff-outputs.ts';
import { hasPlainSettings } from './plain-settings.ts';

/**
 * Returns the trees of two commits, if they alone determine how `git diff` compares the commits;
 * also `undefined` if a tree is missing: git then reports the error.
 */
export async function plainTrees(
  repository: GitRepository,
  { left, right, paths = [] }: Sides,
  signal: AbortSignal,
): Promise<TreePair | undefined> {
  if (paths.length > 0) return undefined;
  if (![left, right].every((side) => isPlainSide(repository, side))) return undefined;
  if (!onlyTreesMatter(repository)) return undefined;
  const objects = repository.objects;
  const names = [`${left}^{tree}`, `${right}^{tree}`, 'HEAD^{tree}'];
  const [before, after, attributes] = await Promise.all(names.map((name) => objects.info(name, { signal })));
  if (before === undefined || after === undefined || attributes === undefined) return undefined;
  return { before: before.oid, after: after.oid, attributes: attributes.oid };
}

/** Reports whether `git diff` of two commits depends only on trees, including that of HEAD. */
export function onlyTreesMatter(repository: GitRepository): boolean {
  // git reports an error for a commit that has no parents here.
  if (hasOtherParents(repository)) return false;
  // A process reads the file only once, so a waiting process cannot be used.
  if (statSync(`${repository.path}/info/attributes`, { throwIfNoEntry: false }) !== undefined) return false;
  return hasPlainSettings(repository, 'diff');
}

function isPlainSide({ objectFormat }: GitRepository, side: Arg): boolean {
  return typeof side === 'string' && isPlainRevision(side, objectFormat);
}
