import { type Stats, statSync } from 'node:fs';
import { GitalyError } from '#base/gitaly-error';
import { systemErrorCode, systemErrorText } from '#base/system-error';

/** What a directory must hold to count as a repository, in the order in which a missing one is named. */
const REQUIRED_ENTRIES = ['objects', 'refs', 'HEAD'] as const;

/**
 * Checks that a path is a repository as far as clients are told: a directory that holds `objects`, `refs` and `HEAD`,
 * of whatever type.
 *
 * @returns what the file system says about the directory.
 * @throws {GitalyError} NOT_FOUND when nothing is there, FAILED_PRECONDITION when an entry is missing, UNKNOWN for
 *   everything else (a file, a path below a file, a name too long): callers put the code of their RPC on it.
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

/** Whether a path is a repository; anything that stands in the way of looking counts as no. */
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

/** Node tells ENOENT and ENOTDIR apart only when it throws. */
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
    throw new GitalyError('UNKNOWN', `validate git directory: stat: stat ${path}: ${systemErrorText(error)}`, { cause: error });
  }
}
