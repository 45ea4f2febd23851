import { flag, gitCommand } from '../command/git-command.ts';
import { outputBytes } from '../command/output-bytes.ts';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';
import { type IgnoredSpace, patchFlags } from './commands.ts';
import { pairsAsTrees } from './pairs-as-trees.ts';
import { type ChangeStatus, HEX_LENGTH } from './raw-line.ts';

/** A change whose blobs are known, as `git diff --raw` would list it. What does not make sense is for git to refuse. */
export interface KnownChange {
  /** `undefined` where the caller's is not known here. */
  readonly status: ChangeStatus | undefined;
  readonly oldMode: number;
  readonly newMode: number;
  readonly oldOid: string;
  readonly newOid: string;
  readonly path: Buffer;
  readonly oldPath: Buffer | undefined;
}

export interface DiffPairsOptions {
  readonly wordDiff: boolean;
  readonly ignoredSpace: IgnoredSpace | undefined;
  /** An empty directory for scratch objects, which the caller removes. Needed for versions of git without `diff-pairs`. */
  readonly scratchDirectory?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The patches of known changes, in order: what `git diff-pairs` prints, with one process. Changes without a difference have none.
 *
 * @throws {GitExitError} when git fails, for instance on a change that makes no sense.
 */
export function diffPairs(
  git: Git,
  repository: GitRepository,
  changes: readonly KnownChange[],
  options: DiffPairsOptions,
): AsyncGenerator<Buffer> {
  const { scratchDirectory, signal } = options;
  if (scratchDirectory !== undefined) return pairsAsTrees(git, repository, changes, { ...options, scratchDirectory });
  const words = [flag('-z'), flag(`--abbrev=${HEX_LENGTH[git.objectFormat(repository)]}`), ...patchFlags(options)];
  const input = Buffer.concat(changes.map(rawRecord));
  return outputBytes(git, repository, gitCommand('diff-pairs', { options: words }), { input, signal });
}

/** `:<mode> <mode> <oid> <oid> <status>\0[<old path>\0]<path>\0`; renames and copies with a score, which nobody looks at. */
function rawRecord({ status, oldMode, newMode, oldOid, newOid, path, oldPath }: KnownChange): Buffer {
  const score = status === 'R' || status === 'C' ? '000' : '';
  const head = Buffer.from(`:${octal(oldMode)} ${octal(newMode)} ${oldOid} ${newOid} ${status ?? '\0'}${score}\0`);
  const names = oldPath === undefined ? [path] : [oldPath, NUL, path];
  return Buffer.concat([head, ...names, NUL]);
}

const NUL = Buffer.of(0);

function octal(mode: number): string {
  return mode.toString(8).padStart(6, '0');
}
