import type { Repository } from '#storage/repository';
import type { BranchUpdate } from '../ref-update/branch-update.ts';
import type { UpdateContext } from '../ref-update/update-with-hooks.ts';
import { revert } from './apply-change.ts';
import { type BranchChange, type ChangeSteps, changeOntoBranch } from './change-onto-branch.ts';

const STEPS: ChangeSteps = {
  notFound: () => 'revert commit lookup: commit not found',
  authorOf: (_, user) => user,
  makeTree: revert,
};

/**
 * Applies the inverse of a commit's change to a branch.
 *
 * @throws as {@link changeOntoBranch} and {@link revert}.
 */
export async function revertOnBranch(
  repository: Repository,
  change: BranchChange,
  context: UpdateContext,
): Promise<BranchUpdate> {
  return await changeOntoBranch(repository, change, STEPS, context);
}
