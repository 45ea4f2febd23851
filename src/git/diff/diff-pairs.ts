import { isDirectory } from '#base/file-mode';
import { flag, gitCommand } from '../command/git-command.ts';
import { outputBytes } from '../command/output.ts';
import { GitExitError } from '../command/process/exit-error.ts';
import { isOidInAnyCase, OID_DIGITS } from '../names/object-id.ts';
import { writeScratchObject } from '../objects/write/scratch-object.ts';
import type { GitRepository } from '../repository.ts';
import type { ObjectFormatName } from '../repository-files/repository-format.ts';
import { patchFlags } from './commands.ts';
import type { DiffPairsOptions, KnownChange } from './known-change.ts';

/**
 * Yields the patches of known changes, in order: the output of `git diff-pairs`, with one process.
 * Changes without a difference have none.
 *
 * @throws {GitExitError} when git fails, for instance on an inconsistent change.
 */
export function diffPairs(
  repository: GitRepository,
  changes: readonly KnownChange[],
  options: DiffPairsOptions,
): AsyncGenerator<Buffer> {
  const { scratchDirectory, signal } = options;
  if (scratchDirectory !== undefined)
    return pairsAsTrees(repository, changes, { ...options, scratchDirectory });
  const words = [flag('-z'), flag(`--abbrev=${OID_DIGITS[repository.objectFormat]}`), ...patchFlags(options)];
  const input = Buffer.concat(changes.map(rawRecord));
  return outputBytes(repository, gitCommand('diff-pairs', { options: words }), { input, signal });
}

/**
 * Formats `:<mode> <mode> <oid> <oid> <status>\0[<old path>\0]<path>\0`; renames and copies get a
 * score, which is ignored.
 */
function rawRecord({ status, oldMode, newMode, oldOid, newOid, path, oldPath }: KnownChange): Buffer {
  const score = status === 'R' || status === 'C' ? '000' : '';
  const head = Buffer.from(
    `:${octal(oldMode)} ${octal(newMode)} ${oldOid} ${newOid} ${status ?? '\0'}${score}\0`,
  );
  const names = oldPath === undefined ? [path] : [oldPath, NUL, path];
  return Buffer.concat([head, ...names, NUL]);
}

const NUL = Buffer.of(0);

function octal(mode: number): string {
  return mode.toString(8).padStart(6, '0');
}

/**
 * Yields the output of `git diff-pairs` for versions of git without it (before 2.50). Each change
 * becomes two trees with one entry, named by the whole path, in a directory that git reads as an
 * alternate, and one `git diff-tree --stdin` compares them all. Renames and copies have the old
 * path on both sides. This changes their headers, which are not read, and the attributes of a new
 * extension.
 *
 * Changes that `diff-pairs` cannot read make it fail before any output; this function does the
 * same.
 */
async function* pairsAsTrees(
  repository: GitRepository,
  changes: readonly KnownChange[],
  options: DiffPairsOptions & { readonly scratchDirectory: string },
): AsyncGenerator<Buffer> {
  const { scratchDirectory, signal } = options;
  const format = repository.objectFormat;
  const command = gitCommand('diff-tree', {
    options: [
      flag('--stdin'),
      flag('--patch'),
      flag('--no-renames'),
      flag('--no-commit-id'),
      ...patchFlags(options),
    ],
  });
  if (!changes.every((change) => isReadable(change, format))) throw unreadable();

  const lines: string[] = [];
  for (const change of changes) {
    const [left, right] = await Promise.all([
      writeTree(change.status === 'A' ? [] : sideOf(change, change.oldMode, change.oldOid)),
      writeTree(change.status === 'D' ? [] : sideOf(change, change.newMode, change.newOid)),
    ]);
    lines.push(`${left} ${right}\n`);
  }
  const scratch = repository.withObjectDirectories({
    alternateObjectDirectories: [...repository.alternateObjectDirectories, scratchDirectory],
  });
  yield* outputBytes(scratch, command, { input: Buffer.from(lines.join('')), signal });

  function writeTree(entries: readonly Buffer[]): Promise<string> {
    return writeScratchObject(scratchDirectory, { type: 'tree', data: Buffer.concat(entries) }, format);
  }
}

/** Returns an entry of a tree; none for an absent side. */
function sideOf({ path, oldPath }: KnownChange, mode: number, oid: string): Buffer[] {
  return mode === 0
    ? []
    : [Buffer.from(`${mode.toString(8)} `), oldPath ?? path, Buffer.of(0), Buffer.from(oid, 'hex')];
}

function isReadable(
  { status, oldMode, newMode, oldOid, newOid, path, oldPath }: KnownChange,
  format: ObjectFormatName,
): boolean {
  const isMode = (mode: number) => mode >= 0 && !isDirectory(mode);
  const hasTwoPaths = status === 'R' || status === 'C';
  return (
    status !== undefined &&
    isOidInAnyCase(oldOid, format) &&
    isOidInAnyCase(newOid, format) &&
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
