import { randomInt } from 'node:crypto';
import { lstat, rename, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { systemErrorCode } from '#base/go/system-error';

/**
 * Maximum length of a path in the system's socket address, without the final NUL. A rename could
 * create a longer name, but clients could not reach it.
 */
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103;

const NOBODY = new Set(['ECONNREFUSED', 'ENOENT']);

/** The file of a Unix socket that we listen on. */
export interface SocketFile {
  /** Removes the file if it is still ours: a newer process may have replaced it. */
  remove(): Promise<void>;
}

/**
 * Lets a server listen at a path and replaces a file left by a dead process. The server listens at
 * a temporary name in the same directory, which is then renamed. So the path never refuses
 * connections in between. The runtime deletes the name at which it listened, so it cannot delete
 * the file of a newer process.
 *
 * @param listen listens at the given path
 * @throws system errors; EADDRINUSE when a process accepts connections there or when the path is
 *   not a socket, EINVAL when it is too long
 */
export async function placeSocketFile(
  path: string,
  listen: (path: string) => Promise<void>,
): Promise<SocketFile> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw systemError('EINVAL', path);
  // the runtime reports "permission denied" for a directory that does not exist
  await stat(dirname(path));
  await checkReplaceable(path);
  // A short name, so that it fits wherever the path fits.
  const temporaryPath = join(dirname(path), `.${randomInt(36 ** 4).toString(36)}`);
  await listen(temporaryPath);
  const file = fileOf(path, await lstat(temporaryPath));
  await rename(temporaryPath, path);
  return file;
}

/**
 * Returns the file of a socket that another process has placed and that this one now listens on;
 * `undefined` if there is no socket at the path any more, so that clients cannot reach it.
 *
 * @param keepsFile returns true while the file is not ours to remove.
 */
export async function inheritSocketFile(
  path: string,
  keepsFile: () => boolean,
): Promise<SocketFile | undefined> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSocket() !== true) return undefined;
  const file = fileOf(path, found);
  return { remove: async () => (keepsFile() ? undefined : await file.remove()) };
}

function fileOf(path: string, { ino, dev }: { readonly ino: number; readonly dev: number }): SocketFile {
  return {
    remove: async () => {
      const now = await lstat(path).catch(() => undefined);
      if (now?.ino === ino && now.dev === dev) await rm(path, { force: true });
    },
  };
}

async function checkReplaceable(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined || (found.isSocket() && !(await isListening(path)))) return;
  throw systemError('EADDRINUSE', path);
}

function systemError(code: 'EADDRINUSE' | 'EINVAL', path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code, errno: -constants.errno[code] });
}

/**
 * Reports whether a process listens at the path. Only a refused connection means no: a busy
 * server's queue may be full (EAGAIN), and another user's socket may be inaccessible (EACCES).
 */
function isListening(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path, () => resolve(true));
  socket.on('error', (error) => resolve(!NOBODY.has(systemErrorCode(error) ?? '')));
  return promise.finally(() => socket.destroy());
}
