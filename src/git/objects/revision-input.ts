import type { Arg } from '../command/spawner/spawner.ts';
import type { Git } from '../git.ts';

/** Where the revisions of a `rev-list --stdin` go. */
export interface RevisionInput {
  /** For standard input, a revision a line. */
  readonly stdin: Buffer;
  /** Words of the command line, behind `--stdin`; use `endOfRevisions` with them. */
  readonly words: readonly Arg[];
}

const DASH = 0x2d;
const LF = Buffer.from('\n');

/**
 * Lays out revisions and pseudo-revisions (`--all`, `--not`, `--glob=…`) for `rev-list --stdin`. git before 2.42 takes only revisions from
 * its standard input; there everything from the first pseudo-revision on goes to the command line, which keeps the order, since
 * `--stdin` is read where it stands. A line feed in a path splits the revision, as it does in git.
 */
export function revisionInput({ capabilities }: Git, revisions: readonly (string | Uint8Array)[]): RevisionInput {
  const all = revisions.map((revision) => Buffer.from(revision));
  const firstPseudo = capabilities.revListStdinPseudo ? -1 : all.findIndex((revision) => revision[0] === DASH);
  const lines = firstPseudo === -1 ? all : all.slice(0, firstPseudo);
  const words = firstPseudo === -1 ? [] : all.slice(firstPseudo).flatMap(linesOf);
  return { stdin: Buffer.concat(lines.flatMap((line) => [line, LF])), words };
}

function linesOf(revision: Buffer): Buffer[] {
  if (!revision.includes(LF)) return [revision];
  return revision
    .toString('latin1')
    .split('\n')
    .map((line) => Buffer.from(line, 'latin1'));
}
