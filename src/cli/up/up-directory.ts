import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { lstat, readdir, realpath, rm, rmdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDirectory } from '#base/files/make-directory';
import { messageOf } from '#base/gitaly-error';
import { LockHeldError, takeLock, type UpLock } from './up-lock.ts';

/** The paths of `gitaly-ts up` in one directory, which is locked until this is disposed. */
export interface UpDirectory extends AsyncDisposable {
  readonly path: string;
  readonly repositories: string;
  readonly socket: string;
  /** Directory of `socket`: `path`, or another one if that is long. */
  readonly socketDirectory: string;
  /** Directory for the files of the running process. */
  readonly runtime: string;
  /** Sets the description that a second start on the same directory prints. */
  describe(text: string): void;
}

/** Another process uses the directory. */
export class DirectoryInUseError extends Error {
  override readonly name = 'DirectoryInUseError';
}

/** The directory holds something else. */
export class WrongDirectoryError extends Error {
  override readonly name = 'WrongDirectoryError';
}

/** The contents of a directory: the repositories of one server, or the nodes and database of a cluster. */
export type UpKind = 'server' | 'cluster';

/** Name of Praefect's configuration in the directory of a cluster. */
export const PRAEFECT_CONFIG = 'praefect.toml';

/**
 * Limit that leaves space for the names of sockets: the system accepts paths of about 104 bytes.
 */
const MAX_SOCKET_DIRECTORY_BYTES = 60;
const LOCK = 'up.lock';
const SOCKET = 'gitaly.socket';
const REPOSITORIES = 'repositories';
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Creates or opens the directory and locks it. The lock is a socket on which this process listens:
 * it cannot outlive the process, and it reports its holder. For a directory with a long name, the
 * sockets are in the temporary directory.
 *
 * @throws {DirectoryInUseError}; {WrongDirectoryError} when it holds the other kind; an error with
 *   advice when the directory cannot be created or written to.
 */
export async function openUpDirectory(directory: string, kind: UpKind = 'server'): Promise<UpDirectory> {
  try {
    return await takeDirectory(directory, kind);
  } catch (error) {
    if (error instanceof DirectoryInUseError || error instanceof WrongDirectoryError) throw error;
    throw new Error(`${messageOf(error)}. Choose a directory that you can write to.`, { cause: error });
  }
}

async function takeDirectory(directory: string, kind: UpKind): Promise<UpDirectory> {
  await makeDirectory(directory);
  const path = await realpath(directory);
  const sockets = socketsOf(path);
  if (sockets !== path) await makePrivate(sockets, (await stat(path)).uid);
  const runtime = join(sockets, 'run');
  const lock = await lockOf(sockets, path);
  const release = async (): Promise<void> => {
    await rm(runtime, { recursive: true, force: true });
    if (sockets === path) await lock.release();
    else await leave(sockets, lock);
  };
  try {
    await checkKind(path, kind);
    await makeDirectory(runtime, { mode: 0o700 });
    if (kind === 'server') await makeDirectory(join(path, REPOSITORIES));
  } catch (error) {
    await release();
    throw error;
  }
  return {
    path,
    runtime,
    repositories: join(path, REPOSITORIES),
    socketDirectory: sockets,
    socket: join(sockets, SOCKET),
    describe: lock.describe,
    [Symbol.asyncDispose]: release,
  };
}

/** @throws {DirectoryInUseError} */
async function lockOf(sockets: string, directory: string): Promise<UpLock> {
  return await takeLock(join(sockets, LOCK)).catch((error: unknown) => {
    if (!(error instanceof LockHeldError)) throw error;
    throw new DirectoryInUseError(`${directory} is in use: gitaly-ts already runs there (${error.message})`);
  });
}

/**
 * Makes the directory of sockets, which is in a directory of all users.
 *
 * @param owner of the repositories.
 * @throws {Error} if another user can exchange the sockets.
 */
async function makePrivate(directory: string, owner: number): Promise<void> {
  await makeDirectory(directory, { mode: 0o700 });
  const stats = await lstat(directory);
  const isTrusted = stats.uid === owner || stats.uid === process.getuid?.();
  if (isTrusted && stats.isDirectory() && (stats.mode & WRITABLE_BY_OTHERS) === 0) return;
  throw new Error(`other users can change ${directory}, which is needed for sockets: remove it`);
}

/** Removes a directory of sockets, unless another process takes the lock before it is gone. */
async function leave(sockets: string, lock: UpLock): Promise<void> {
  for (const name of await readdir(sockets))
    if (name !== LOCK) await rm(join(sockets, name), { recursive: true, force: true });
  await lock.release();
  await rmdir(sockets).catch(() => {}); // it is used again
}

async function checkKind(directory: string, kind: UpKind): Promise<void> {
  if (kind === 'server') {
    if (existsSync(join(directory, PRAEFECT_CONFIG)))
      throw new WrongDirectoryError(`${directory} holds a cluster: start it with gitaly-ts up --cluster`);
    return;
  }
  const found = await readdir(join(directory, REPOSITORIES)).catch(() => []);
  if (found.some((name) => !name.startsWith('+gitaly'))) {
    throw new WrongDirectoryError(
      `${directory} holds the repositories of a single server. Start the cluster on another directory, and ` +
        `copy them: gitaly-ts import --recursive ${join(directory, REPOSITORIES)} --to THE-OTHER-DIRECTORY`,
    );
  }
}

/**
 * Returns the socket of the server on a directory. @throws the system's error when there is no such
 * directory.
 */
export async function upSocket(directory: string): Promise<string> {
  return join(socketsOf(await realpath(directory)), SOCKET);
}

function socketsOf(path: string): string {
  if (Buffer.byteLength(path) <= MAX_SOCKET_DIRECTORY_BYTES) return path;
  return join(tmpdir(), `gitaly-ts-${createHash('sha256').update(path).digest('hex').slice(0, 12)}`);
}
