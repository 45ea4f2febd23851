import { ZERO_OID } from '#git/names/object-id';
import type { Repository } from '#storage/repository';
import { requireOldOid } from '../revisions/expected-oid.ts';
import { type UpdateContext, updateWithHooks } from './update-with-hooks.ts';

/**
 * Deletes a branch or a tag on behalf of a user.
 *
 * @param expected the value that it must have; empty for any.
 * @throws {ReferenceNotFoundError} {UpdateFailedError}; {GitalyError} INVALID_ARGUMENT for the
 *   expected value.
 */
export async function deleteWithHooks(
  repository: Repository,
  { reference, expected }: { readonly reference: Buffer; readonly expected: string },
  context: UpdateContext,
): Promise<void> {
  const oldOid = await requireOldOid(repository, { reference, expected }, context);
  const newOid = ZERO_OID[repository.objectFormat];
  await updateWithHooks({ repository, reference, oldOid, newOid }, context);
}
