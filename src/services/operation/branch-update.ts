import type { MessageInitShape } from '@bufbuild/protobuf';
import type { BranchUpdate } from '#domain/ref-update/branch-update';
import type { OperationBranchUpdateSchema } from '#wire/gen/operations_pb';

/** Returns the message for a branch that has moved. */
export function toBranchUpdate({
  newOid,
  isNewBranch,
  isFirstBranch,
}: BranchUpdate): MessageInitShape<typeof OperationBranchUpdateSchema> {
  return { commitId: newOid, branchCreated: isNewBranch, repoCreated: isFirstBranch };
}
