/** Modes of the entries of git's trees. */
export const FILE = 0o100644;
export const EXECUTABLE = 0o100755;
export const LINK = 0o120000;
export const DIRECTORY = 0o040000;
export const SUBMODULE = 0o160000;

/** The type of all files, whatever their permissions. Other types are their only mode. */
export const REGULAR = 0o100000;
const TYPE_BITS = 0o170000;

/** Returns a mode without its permissions. */
export function typeOf(mode: number): number {
  return mode & TYPE_BITS;
}

/** Reports whether a mode is that of a file; a link is none. */
export function isRegular(mode: number): boolean {
  return typeOf(mode) === REGULAR;
}

export function isLink(mode: number): boolean {
  return typeOf(mode) === LINK;
}

export function isDirectory(mode: number): boolean {
  return typeOf(mode) === DIRECTORY;
}
