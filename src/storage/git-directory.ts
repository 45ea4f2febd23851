import { type Stats, statSync } from 'node:fs';
import { GitalyError } from '#base/gitaly-error';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';

/** Required entries of a repository, in the order in which missing ones are reported. */
const REQUIRED_ENTRIES = ['objects', 'refs', 'HEAD'] as const;

/**
 * Checks that a path is a repository for clients: a directory with `objects`, `refs` and `HEAD`, of
 * any type.
 *
 * @returns the directory's stats.
 * @throws {GitalyError} NOT_FOUND when nothing is there, FAILED_PRECONDITION when an entry is
 *   missing, UNKNOWN for everything else (a file, a path below a file, a name too long): callers
 *   set the code of their RPC.
 */
export function checkGitDirectory(path: string): Stats {
  const stats = statDirectory(path);
  for (const entry of REQUIRED_ENTRIES) {
    if (!exists(`${path}/${entry}`)) {
      throw new GitalyError('FAILED_PRECONDITION', `repository not valid: "${entry}" does not exist`);
    }
  }
  return stats;
}

/** Reports whether a path is a repository; any error counts as no. */
export function isGitDirectory(path: string): boolean {
  try {
    checkGitDirectory(path);
    return true;
  } catch (error) {
    if (error instanceof GitalyError) return false;
    throw error;
  }
}

function statDirectory(path: string): Stats {
  if (path.includes('\0')) throw notStatable(path, 'invalid argument');
  let stats: Stats | undefined;
  try {
    stats = statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw notStatable(path, systemErrorText(error), error);
  }
  if (stats === undefined) throw missingOrBelowFile(path);
  if (!stats.isDirectory()) throw new GitalyError('UNKNOWN', 'validate git directory: not a directory');
  return stats;
}

/** Returns the error for ENOENT or ENOTDIR, which Node distinguishes only when it throws. */
function missingOrBelowFile(path: string): GitalyError {
  try {
    statSync(path);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') return notStatable(path, systemErrorText(error), error);
  }
  return new GitalyError('NOT_FOUND', 'repository not found');
}

function notStatable(path: string, words: string, cause?: unknown): GitalyError {
  return new GitalyError('UNKNOWN', `validate git directory: stat: stat ${path}: ${words}`, { cause });
}

function exists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    throw new GitalyError(
      'UNKNOWN',
      `validate git directory: stat: stat ${path}: ${systemErrorText(error)}`,
      { cause: error },
    );
  }
}
