import { create } from '@bufbuild/protobuf';
import type { NotAllowedError } from '#domain/hooks/not-allowed-error';
import type { MergeConflictError } from '#domain/merge/merge-conflict-error';
import type { HookRefusedError, ReferenceUpdateError, Refusal } from '#domain/ref-update/refusals';
import {
  AccessCheckErrorSchema,
  CustomHookErrorSchema,
  CustomHookError_HookType as HookType,
  type MergeConflictError as MergeConflictDetail,
  MergeConflictErrorSchema,
  ReferenceUpdateErrorSchema,
} from '#wire/gen/errors_pb';

const HOOK_TYPES = {
  'pre-receive': HookType.PRERECEIVE,
  update: HookType.UPDATE,
  'post-receive': HookType.POSTRECEIVE,
} as const;

// Each call has a separate error message (UserDeleteBranchError, …). These cases have the same name
// in all of them.

/** Returns the detail for a refused change. */
export function refusalCase(refusal: Refusal) {
  switch (refusal.by) {
    case 'access-check':
      return accessCheckCase(refusal.error);
    case 'custom-hook':
      return customHookCase(refusal.error);
    case 'git':
      return referenceUpdateCase(refusal.error);
  }
}

/** Returns the detail for a change that GitLab did not allow. */
export function accessCheckCase({ reason, userId, protocol, changes }: NotAllowedError) {
  const value = create(AccessCheckErrorSchema, { errorMessage: reason, userId, protocol, changes });
  return { case: 'accessCheck', value } as const;
}

/** Returns the detail for a change that an operator's script refused. */
export function customHookCase({ hook, stdout, stderr }: HookRefusedError) {
  return {
    case: 'customHook',
    value: create(CustomHookErrorSchema, { hookType: HOOK_TYPES[hook], stdout, stderr }),
  } as const;
}

/** Returns the detail for a reference that git did not change. */
export function referenceUpdateCase({ reference, oldOid, newOid }: ReferenceUpdateError) {
  const value = create(ReferenceUpdateErrorSchema, { referenceName: Buffer.from(reference), oldOid, newOid });
  return { case: 'referenceUpdate', value } as const;
}

/** Returns the detail for files that cannot be merged. */
export function mergeConflictDetail({ paths, sides }: MergeConflictError): MergeConflictDetail {
  return create(MergeConflictErrorSchema, {
    conflictingFiles: [...paths],
    conflictingCommitIds: [...sides],
  });
}
