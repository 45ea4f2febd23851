import { systemErrorCode } from '../go/system-error.ts';

/**
 * Turns the failure of a call for a file that does not exist into `undefined`. For `catch`:
 *
 *     const entries = (await readdir(directory).catch(ignoreMissing)) ?? [];
 *
 * @throws any other error.
 */
export function ignoreMissing(error: unknown): undefined {
  if (!isMissingFile(error)) throw error;
}

/** Reports whether a call failed because the file does not exist. */
export function isMissingFile(error: unknown): boolean {
  const code = systemErrorCode(error);
  // ENOTDIR: a file is where the path has a directory.
  return code === 'ENOENT' || code === 'ENOTDIR';
}
