import { validateReference } from './validate-reference.ts';

/**
 * A checked full name of a reference: `HEAD`, or one below `refs/` that git accepts. Only such a
 * name becomes an argument of git or a part of a path.
 */
export type RefName = Buffer & { readonly __refName: 'checked' };

/** A full name as a caller has it: bytes, or a string that is encoded as UTF-8. */
export type UncheckedRefName = string | Uint8Array;

/** The name of the reference to the current branch. */
export const HEAD = trustedRefName(Buffer.from('HEAD'));

/** Returns a name as a checked one; `undefined` if git accepts no reference of that name. */
export function parseRefName(name: UncheckedRefName): RefName | undefined {
  const bytes = bytesOfName(name);
  return isRefName(bytes) ? bytes : undefined;
}

/** Reports whether a name is HEAD or one that git accepts for a reference. */
export function isRefName(name: Buffer): name is RefName {
  return name.equals(HEAD) || validateReference(name) === undefined;
}

/** Returns a name as a checked one without checking it, for constants and the output of git. */
export function trustedRefName(name: Buffer): RefName {
  return name as RefName; // trusted by the caller; every other name was checked
}

export function bytesOfName(name: UncheckedRefName): Buffer {
  return typeof name === 'string'
    ? Buffer.from(name)
    : Buffer.from(name.buffer, name.byteOffset, name.byteLength);
}
