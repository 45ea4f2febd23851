import {
  DIRECTORY,
  EXECUTABLE,
  FILE,
  isDirectory,
  isLink,
  isRegular,
  LINK,
  SUBMODULE,
} from '#base/file-mode';

/** The kind of a tree entry. */
export type EntryKind = 'blob' | 'tree' | 'submodule';

const OWNER_MAY_EXECUTE = 0o100;

/**
 * Returns the kind of an entry from its mode: links are blobs, and modes unknown to git are
 * submodules.
 */
export function kindOf(mode: number): EntryKind {
  if (isDirectory(mode)) return 'tree';
  return isRegular(mode) || isLink(mode) ? 'blob' : 'submodule';
}

/**
 * Returns the mode as git prints it: of the permissions in old trees (0o100664) only the executable
 * bit is kept.
 */
export function canonicalMode(mode: number): number {
  if (isRegular(mode)) return (mode & OWNER_MAY_EXECUTE) === 0 ? FILE : EXECUTABLE;
  if (isLink(mode)) return LINK;
  return isDirectory(mode) ? DIRECTORY : SUBMODULE;
}
