import type { Sha1Xor } from '#base/sha1-xor';

/**
 * Matches the lines of `git show-ref --head` that belong to a repository's checksum. It is not
 * anchored: `refs/x/HEAD` and `refs/x/refs/heads/y` count too.
 *
 * @see Gitaly: git/checksum.go
 */
const COUNTS = /HEAD|(?:refs\/(?:heads|tags|keep-around|merge-requests|environments|notes)\/)/;

/** The namespaces of nearly all references, for a quick test. */
const FREQUENT = ['refs/heads/', 'refs/tags/', 'refs/keep-around/', 'refs/merge-requests/'];

/** Reports whether the reference at a position of a text, one character per byte, counts. */
export function isChecksumLine(text: string, nameStart = 0, nameEnd = text.length): boolean {
  // An id has no upper case letters and no slash: only the name matters.
  return (
    FREQUENT.some((prefix) => text.startsWith(prefix, nameStart)) ||
    COUNTS.test(text.slice(nameStart, nameEnd))
  );
}

/** Adds the hash of a line, or removes it when it was added before. */
export function addChecksumLine(xor: Sha1Xor, oid: string, name: Buffer): void {
  xor.add(Buffer.concat([Buffer.from(`${oid} `), name]));
}
