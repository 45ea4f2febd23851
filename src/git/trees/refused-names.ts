import { isLink } from '#base/file-mode';

/** Longest name in a tree that git's checks accept (`fsck.largePathname`). */
const MAX_NAME_BYTES = 4096;
/** Characters that Apple's HFS+ ignores in names. */
const HFS_IGNORES = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/gu;
/**
 * Matches `.git` as Windows reads it: a short name, trailing dots and blanks, or a stream name
 * after a colon.
 */
const NTFS_DOT_GIT = /^(?:\.git|git~1)[. ]*(?:$|[\\/:])/i;
/** Files that git reads itself; as links they would lead out of the repository. */
const NO_LINKS = /^\.git(?:modules|attributes|ignore)$|^\.mailmap$/i;

/**
 * Reports whether git's strict checks refuse an entry in a new tree, as `git hash-object -t tree`
 * does since 2.40: names that some file system treats as `.git`, links in place of git's own files,
 * and names that are too long.
 */
export function isRefusedName(name: Buffer, mode: number): boolean {
  if (name.length > MAX_NAME_BYTES) return true;
  // One character a byte: the patterns are ASCII.
  const bytes = name.toString('latin1');
  if (/^\.\.?$|^$|[/\0]/.test(bytes)) return true;
  if (bytes.split('\\').some((part) => NTFS_DOT_GIT.test(part))) return true;
  const seenByHfs = name.toString('utf8').replace(HFS_IGNORES, '').toLowerCase();
  if (seenByHfs === '.git') return true;
  return isLink(mode) && (NO_LINKS.test(bytes) || NO_LINKS.test(seenByHfs));
}
