import { existsSync } from 'node:fs';
import { readdir, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '#base/files/make-directory';
import { messageOf } from '#base/gitaly-error';
import {
  leaveSocketDirectory,
  removeKilledSocketDirectories,
  socketDirectoryOf,
  takeOwnLock,
  takeSocketDirectory,
} from './socket-directory.ts';
import { LockHeldError, type UpLock } from './up-lock.ts';

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

const SOCKET = 'gitaly.socket';
const REPOSITORIES = 'repositories';

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
  const sockets = socketDirectoryOf(path);
  const runtime = join(sockets, 'run');
  const lock = await lockOf(sockets, path);
  const release = async (): Promise<void> => {
    await rm(runtime, { recursive: true, force: true });
    if (sockets === path) await lock.release();
    else await leaveSocketDirectory(sockets, lock);
  };
  try {
    await checkKind(path, kind);
    await makeDirectory(runtime, { mode: 0o700 });
    if (kind === 'server') await makeDirectory(join(path, REPOSITORIES));
    await removeKilledSocketDirectories();
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
  try {
    if (sockets === directory) return await takeOwnLock(directory);
    return await takeSocketDirectory(sockets, (await stat(directory)).uid);
  } catch (error) {
    if (!(error instanceof LockHeldError)) throw error;
    throw new DirectoryInUseError(`${directory} is in use: gitaly-ts already runs there (${error.message})`);
  }
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
  return join(socketDirectoryOf(await realpath(directory)), SOCKET);
}
