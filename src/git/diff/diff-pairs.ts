import { flag, gitCommand } from '../command/git-command.ts';
import { outputBytes } from '../command/output-bytes.ts';
import { OID_DIGITS } from '../names/object-id.ts';
import type { GitRepository } from '../repository.ts';
import { patchFlags } from './commands.ts';
import type { DiffPairsOptions, KnownChange } from './known-change.ts';
import { pairsAsTrees } from './pairs-as-trees.ts';

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
