import { open, unlink } from 'node:fs/promises';
import { systemErrorCode } from '#base/system-error';

const LOCK_FILE_MODE = 0o600;

/** Somebody else holds the lock. */
export class LockTakenError extends Error {
  override readonly name = 'LockTakenError';

  constructor() {
    super('file already locked');
  }
}

/**
 * Takes the lock on creating, moving or removing a repository: a file `<repository>.lock` beside it, made by whoever is first.
 * Other Gitaly processes on the same storage obey it too. It does not guard what is inside the repository; git does that.
 *
 * Dispose it to release. The parent directory must exist.
 * @throws {LockTakenError} when the file is there already; there is no waiting.
 */
export async function lockRepository(repositoryPath: string): Promise<AsyncDisposable> {
  const file = `${repositoryPath}.lock`;
  try {
    const handle = await open(file, 'wx', LOCK_FILE_MODE);
    await handle.close();
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') throw new LockTakenError();
    throw error;
  }
  return { [Symbol.asyncDispose]: () => unlink(file) };
}
