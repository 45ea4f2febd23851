import type { FindLocalBranchesResponse } from '#wire/gen/ref_pb';
import type { GitCommit } from '#wire/gen/shared_pb';
import { eachItem } from './each-item.ts';

/** A branch: its full name and its tip. */
export interface LocalBranch {
  readonly name: Uint8Array;
  readonly targetCommit?: GitCommit | undefined;
}

/**
 * Yields the branches of FindLocalBranches, from the field of current servers or, if it is empty,
 * from that of Gitaly 15.0.
 */
export function localBranches(
  responses: AsyncIterable<FindLocalBranchesResponse>,
): AsyncGenerator<LocalBranch, void, undefined> {
  return eachItem(responses, branchesOf);
}

function branchesOf(response: FindLocalBranchesResponse): readonly LocalBranch[] {
  if (response.localBranches.length > 0) return response.localBranches;
  return response.branches.map(({ name, commit }) => ({ name, targetCommit: commit }));
}
