import { DIRECTORY, EXECUTABLE, FILE, LINK, REGULAR, SUBMODULE, typeOf } from '#base/file-mode';

export type EntryKind = 'blob' | 'tree' | 'submodule';

const OWNER_MAY_EXECUTE = 0o100;

/**
 * Returns the kind of an entry from its mode: links are blobs, and modes unknown to git are
 * submodules.
 */
export function kindOf(mode: number): EntryKind {
  const type = typeOf(mode);
  if (type === DIRECTORY) return 'tree';
  return type === REGULAR || type === LINK ? 'blob' : 'submodule';
}

/**
 * Returns the mode as git prints it: of the permissions in old trees (0o100664) only the executable
 * bit is kept.
 */
export function canonicalMode(mode: number): number {
  switch (typeOf(mode)) {
    case REGULAR:
      return (mode & OWNER_MAY_EXECUTE) === 0 ? FILE : EXECUTABLE;
    case LINK:
      return LINK;
    case DIRECTORY:
      return DIRECTORY;
    default:
      return SUBMODULE;
  }
}
