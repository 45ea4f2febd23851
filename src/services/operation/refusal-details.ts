import { create } from '@bufbuild/protobuf';
import type { NotAllowedError } from '#domain/hooks/not-allowed-error';
import type { HookRefusedError, ReferenceUpdateError } from '#domain/ref-update/refusals';
import {
  AccessCheckErrorSchema,
  CustomHookErrorSchema,
  CustomHookError_HookType as HookType,
  ReferenceUpdateErrorSchema,
} from '#wire/gen/errors_pb';

const HOOK_TYPES = {
  'pre-receive': HookType.PRERECEIVE,
  update: HookType.UPDATE,
  'post-receive': HookType.POSTRECEIVE,
} as const;

// Each call has a message of its own for its errors (UserDeleteBranchError, …). These cases are named alike in all that have them.

/** What clients are told of a change that GitLab did not allow. */
export function accessCheckCase({ reason, userId, protocol, changes }: NotAllowedError) {
  const value = create(AccessCheckErrorSchema, { errorMessage: reason, userId, protocol, changes });
  return { case: 'accessCheck', value } as const;
}

/** What clients are told of a change that an operator's script refused. */
export function customHookCase({ hook, stdout, stderr }: HookRefusedError) {
  return { case: 'customHook', value: create(CustomHookErrorSchema, { hookType: HOOK_TYPES[hook], stdout, stderr }) } as const;
}

/** What clients are told of a reference that git did not change. */
export function referenceUpdateCase({ reference, oldOid, newOid }: ReferenceUpdateError) {
  const value = create(ReferenceUpdateErrorSchema, { referenceName: Buffer.from(reference), oldOid, newOid });
  return { case: 'referenceUpdate', value } as const;
}
