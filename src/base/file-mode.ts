/** Modes of the entries of git's trees. */
export const FILE = 0o100644;
export const EXECUTABLE = 0o100755;
export const LINK = 0o120000;
export const DIRECTORY = 0o040000;
export const SUBMODULE = 0o160000;

const TYPE_BITS = 0o170000;
const REGULAR = 0o100000;

/** Reports whether a mode is that of a file, whatever its permissions; a link is none. */
export function isRegular(mode: number): boolean {
  return (mode & TYPE_BITS) === REGULAR;
}

export function isLink(mode: number): boolean {
  return (mode & TYPE_BITS) === LINK;
}

export function isDirectory(mode: number): boolean {
  return (mode & TYPE_BITS) === DIRECTORY;
}

/** Reports whether two modes differ in their permissions at most. */
export function isSameType(one: number, other: number): boolean {
  return (one & TYPE_BITS) === (other & TYPE_BITS);
}
