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

/** Matches a line that is a pseudo-revision, or that git would parse as an option. */
const DASH = /(?:^|\n)-/;

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
  // One character per byte: what is searched for is ASCII.
  const text = revisions.map((revision) => `${Buffer.from(revision).toString('latin1')}\n`).join('');
  if (!DASH.test(text)) return { stdin: bytesOf(text), words: [] };
  const lines = text.slice(0, -1).split('\n');
  for (const line of lines) if (DASH.test(line)) checkRevision('rev-list', bytesOf(line));
  const firstPseudo = capabilities.revListStdinPseudo ? -1 : lines.findIndex((line) => line.startsWith('-'));
  if (firstPseudo === -1) return { stdin: bytesOf(text), words: [] };
  const onStdin = lines.slice(0, firstPseudo).map((line) => `${line}\n`);
  return { stdin: bytesOf(onStdin.join('')), words: lines.slice(firstPseudo).map(bytesOf) };
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
