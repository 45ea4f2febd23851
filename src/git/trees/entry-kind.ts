/** The kind of a tree entry. */
export type EntryKind = 'blob' | 'tree' | 'submodule';

const TYPE_MASK = 0o170000;
const REGULAR = 0o100000;
const LINK = 0o120000;
const DIRECTORY = 0o040000;
const SUBMODULE = 0o160000;
const OWNER_MAY_EXECUTE = 0o100;

/**
 * Returns the kind of an entry from its mode: links are blobs, and modes unknown to git are
 * submodules.
 */
export function kindOf(mode: number): EntryKind {
  const type = mode & TYPE_MASK;
  if (type === DIRECTORY) return 'tree';
  return type === REGULAR || type === LINK ? 'blob' : 'submodule';
}

/**
 * Returns the mode as git prints it: of the permissions in old trees (0o100664) only the executable
 * bit is kept.
 */
export function canonicalMode(mode: number): number {
  switch (mode & TYPE_MASK) {
    case REGULAR:
      return (mode & OWNER_MAY_EXECUTE) === 0 ? 0o100644 : 0o100755;
    case LINK:
      return LINK;
    case DIRECTORY:
      return DIRECTORY;
    default:
      return SUBMODULE;
  }
}
