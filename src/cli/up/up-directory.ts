import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, realpath, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { makeDirectory } from '#base/files/make-directory';
import { messageOf } from '#base/gitaly-error';
import { isError } from '#base/is-error';

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
const ANSWER_TIMEOUT_MS = 1000;
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
  const sockets = socketsOf(path);
  const isLong = sockets !== path;
  const runtime = join(sockets, 'run');
  await makeDirectory(runtime, { mode: 0o700 });
  const lock = await takeLock(join(sockets, 'up.lock'), path);
  const release = async (): Promise<void> => {
    await rm(runtime, { recursive: true, force: true });
    await lock.release();
    if (isLong) await rm(sockets, { recursive: true, force: true });
  };
  try {
    await checkKind(path, kind);
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

async function takeLock(
  path: string,
  directory: string,
): Promise<{ describe(text: string): void; release(): Promise<void> }> {
  let description = `process ${process.pid}`;
  const server = createServer((socket) => socket.on('error', () => {}).end(description)).unref();
  for (let attempt = 1; ; attempt++) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject).listen(path, resolve);
    try {
      await promise;
      break;
    } catch (error) {
      if (!isAddressInUse(error) || attempt > 1) throw error;
      const holder = await askHolder(path);
      if (holder !== undefined)
        throw new DirectoryInUseError(`${directory} is in use: gitaly-ts already runs there (${holder})`);
      await rm(path, { force: true }); // left by a killed process
    } finally {
      server.off('error', reject);
    }
  }
  return {
    describe: (text) => {
      description = `process ${process.pid}, ${text}`;
    },
    release: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Returns the description of a lock's holder; `undefined` if no one holds it. */
async function askHolder(path: string): Promise<string | undefined> {
  const socket = connect(path);
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.end());
  try {
    return (await text(socket)) || 'it does not respond';
  } catch {
    return undefined; // connection refused: only the file is left
  }
}

function isAddressInUse(error: unknown): boolean {
  return isError(error) && 'code' in error && error.code === 'EADDRINUSE';
}
