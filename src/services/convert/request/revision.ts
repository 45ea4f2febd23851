import { mapInTurns } from '#base/async/loop-turns';
import { invalidArgument } from '#base/gitaly-error';
import { type RevisionRules, validateRevision } from '#git/names/validate-revision';

/**
 * Checks a revision of a request and hands it back (the same memory).
 *
 * @param prefix is put before the text (`invalid revision: `).
 * @throws {GitalyError} INVALID_ARGUMENT.
 */
export function requireRevision(
  revision: Uint8Array,
  options: RevisionRules & { prefix?: string } = {},
): Buffer {
  const bytes = Buffer.from(revision.buffer, revision.byteOffset, revision.byteLength);
  const problem = validateRevision(revision, options);
  if (problem !== undefined) {
    throw invalidArgument(`${options.prefix ?? ''}${problem}`, {
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
export async function requireRevisions(
  revisions: readonly string[],
  rules: RevisionRules = {},
): Promise<Buffer[]> {
  if (revisions.length === 0) throw invalidArgument('missing revisions');
  const options = { allowPseudo: true, prefix: 'invalid revision: ', ...rules };
  return await mapInTurns(revisions, (revision) => requireRevision(Buffer.from(revision), options));
}
