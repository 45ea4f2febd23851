import { GitExitError } from '../command/exit-error.ts';
import { flag, gitCommand } from '../command/git-command.ts';
import { outputBytes } from '../command/output-bytes.ts';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';
import { patchFlags } from './commands.ts';
import type { DiffPairsOptions, KnownChange } from './diff-pairs.ts';
import { HEX_LENGTH } from './raw-line.ts';
import { writeScratchObject } from './scratch-object.ts';

const TYPE_MASK = 0o170000;
const DIRECTORY = 0o040000;

/**
 * What `git diff-pairs` prints, from versions of git that do not have it (before 2.50): each change becomes two trees with one entry, named by the
 * whole path, in a directory that git reads as an alternate, and one `git diff-tree --stdin` compares them all. Renames and copies have
 * the old path on both sides: their headers differ, which nobody reads, and so does the attribute that a new extension would bring.
 *
 * Changes that `diff-pairs` cannot read make it fail before it has printed anything, and so it is here.
 */
export async function* pairsAsTrees(
  git: Git,
  repository: GitRepository,
  changes: readonly KnownChange[],
  options: DiffPairsOptions & { readonly scratchDirectory: string },
): AsyncGenerator<Buffer> {
  const { scratchDirectory, signal } = options;
  const { path, objectDirectory, alternateObjectDirectories } = repository;
  const format = git.objectFormat(repository);
  const command = gitCommand('diff-tree', {
    options: [flag('--stdin'), flag('--patch'), flag('--no-renames'), flag('--no-commit-id'), ...patchFlags(options)],
  });
  if (!changes.every((change) => isReadable(change, HEX_LENGTH[format]))) throw unreadable();

  const lines: string[] = [];
  for (const change of changes) {
    const [left, right] = await Promise.all([
      writeTree(change.status === 'A' ? [] : sideOf(change, change.oldMode, change.oldOid)),
      writeTree(change.status === 'D' ? [] : sideOf(change, change.newMode, change.newOid)),
    ]);
    lines.push(`${left} ${right}\n`);
  }
  const scratch = { path, objectDirectory, alternateObjectDirectories: [...alternateObjectDirectories, scratchDirectory] };
  yield* outputBytes(git, scratch, command, { input: Buffer.from(lines.join('')), signal });

  function writeTree(entries: readonly Buffer[]): Promise<string> {
    return writeScratchObject(scratchDirectory, { type: 'tree', data: Buffer.concat(entries) }, format);
  }
}

/** An entry of a tree; none for a side that is absent. */
function sideOf({ path, oldPath }: KnownChange, mode: number, oid: string): Buffer[] {
  return mode === 0 ? [] : [Buffer.from(`${mode.toString(8)} `), oldPath ?? path, Buffer.of(0), Buffer.from(oid, 'hex')];
}

function isReadable({ status, oldMode, newMode, oldOid, newOid, path, oldPath }: KnownChange, hexLength: number): boolean {
  const isOid = (oid: string) => oid.length === hexLength && /^[0-9a-fA-F]+$/.test(oid);
  const isMode = (mode: number) => mode >= 0 && (mode & TYPE_MASK) !== DIRECTORY;
  const hasTwoPaths = status === 'R' || status === 'C';
  return (
    status !== undefined &&
    isOid(oldOid) &&
    isOid(newOid) &&
    isMode(oldMode) &&
    isMode(newMode) &&
    hasTwoPaths === (oldPath !== undefined) &&
    !path.includes(0) &&
    oldPath?.includes(0) !== true
  );
}

function unreadable(): GitExitError {
  return new GitExitError(
    ['git', 'diff-pairs'],
    { code: 128, signal: undefined, usage: undefined, realMs: 0, ended: undefined },
    'fatal: unable to parse the raw input\n',
  );
}
