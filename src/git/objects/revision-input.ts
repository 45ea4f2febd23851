import type { Git } from '../command/git.ts';
import { checkRevision } from '../command/git-command.ts';
import type { Arg } from '../command/spawner/spawner.ts';

/** The revisions of a `rev-list --stdin`. */
export interface RevisionInput {
  /** Data for standard input, one revision per line. */
  readonly stdin: Buffer;
  /** Words of the command line after `--stdin`; use `endOfRevisions` with them. */
  readonly words: readonly Arg[];
}

const DASH = 0x2d;
const LF = Buffer.from('\n');

/**
 * Arranges revisions and pseudo-revisions (`--all`, `--not`, `--glob=…`) for `rev-list --stdin`.
 * git before 2.42 accepts only revisions on standard input; for it, everything from the first
 * pseudo-revision on goes to the command line, which keeps the order, because `--stdin` is read at
 * its position. A line feed in a path splits the revision, as in git.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for a line that git would parse as an option or as the
 *   `--` before paths.
 */
export function revisionInput(
  { capabilities }: Git,
  revisions: readonly (string | Uint8Array)[],
): RevisionInput {
  const all = revisions.flatMap((revision) => linesOf(Buffer.from(revision)));
  for (const line of all) checkRevision('rev-list', line);
  const firstPseudo = capabilities.revListStdinPseudo ? -1 : all.findIndex((line) => line[0] === DASH);
  const lines = firstPseudo === -1 ? all : all.slice(0, firstPseudo);
  const words = firstPseudo === -1 ? [] : all.slice(firstPseudo);
  return { stdin: Buffer.concat(lines.flatMap((line) => [line, LF])), words };
}

function linesOf(revision: Buffer): Buffer[] {
  if (!revision.includes(LF)) return [revision];
  return revision
    .toString('latin1')
    .split('\n')
    .map((line) => Buffer.from(line, 'latin1'));
}
