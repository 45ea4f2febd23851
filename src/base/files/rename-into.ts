import { renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemErrorCode } from '../go/system-error.ts';
import { makeDirectorySync } from './make-directory.ts';

/** Attempts after which a file that cannot be renamed is an error. */
const MAX_ATTEMPTS = 10;

/**
 * Renames a file into a directory that others remove while it is empty, as `git prune` does with
 * the directories of loose objects. The directory is created if it is missing; its parent exists.
 *
 * @throws {Error} of the system; ENOENT when the file or the directory's parent is missing.
 */
export function renameInto(from: string, to: string): void {
  for (let attempt = 1; ; attempt++)
    try {
      renameSync(from, to);
      return;
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT' || attempt === MAX_ATTEMPTS) throw error;
      makeDirectorySync(dirname(to));
    }
}
