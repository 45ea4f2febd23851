import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { type RevisionRules, validateRevision } from '#git/refs/validate-revision';

/**
 * Checks a revision of a request and hands it back (the same memory).
 *
 * @param prefix stands before the text (`invalid revision: `).
 * @throws {GitalyError} INVALID_ARGUMENT.
 */
export function requireRevision(revision: Uint8Array, options: RevisionRules & { prefix?: string } = {}): Buffer {
  const bytes = Buffer.from(revision.buffer, revision.byteOffset, revision.byteLength);
  const problem = validateRevision(revision, options);
  if (problem !== undefined) {
    throw new GitalyError('INVALID_ARGUMENT', `${options.prefix ?? ''}${problem}`, {
      metadata: { revision: bytes.toString() },
    });
  }
  return bytes;
}

/**
 * Checks the revisions that a walk starts from, pseudo-revisions (`--all`, `--not` …) among them.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `missing revisions`, `invalid revision: …`.
 */
export function requireRevisions(revisions: readonly string[], rules: RevisionRules = {}): Buffer[] {
  if (revisions.length === 0) throw new GitalyError('INVALID_ARGUMENT', 'missing revisions');
  const options = { allowPseudo: true, prefix: 'invalid revision: ', ...rules };
  return revisions.map((revision) => requireRevision(Buffer.from(revision), options));
}

/** Why there is nothing of a name, in Gitaly's words: one that begins with a dash is not shown to git. */
export function whyNotFound(revision: Uint8Array): string {
  if (revision[0] !== 0x2d) return 'reference not found';
  return `positional arg ${quote(revision)} cannot start with dash '-': invalid argument`;
}
