import { DeleteRefsErrorSchema, UpdateReferencesErrorSchema } from '#wire/gen/ref_pb';
import { InvalidRefFormatError, ReferenceStateMismatchError, ReferencesLockedError } from './rails-errors.ts';
import type { ErrorRules } from './translate-errors.ts';

/** Rules for DeleteRefs and UpdateReferences. */
export const CHANGE_REFS_RULES: ErrorRules = {
  reasons: {
    invalidFormat: (error) => {
      const detail =
        error.detail(UpdateReferencesErrorSchema)?.error ?? error.detail(DeleteRefsErrorSchema)?.error;
      const refs = detail?.case === 'invalidFormat' ? detail.value.refs : [];
      const names = refs.map((name) => Buffer.from(name).toString()).join(',');
      return new InvalidRefFormatError(error, `references have an invalid format: ${names}`);
    },
    referencesLocked: (error) => new ReferencesLockedError(error),
    referenceStateMismatch: (error) => new ReferenceStateMismatchError(error),
  },
};
