import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { lstatSync, mkdirSync, readdirSync, rmSync, unlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { attempt } from '#base/attempt';
import { messageOf } from '#base/gitaly-error';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import { isProcessAlive, ownerOf, ownerSuffix } from '#base/process-identity';

/** Directory of one server process. It is removed when the process ends. */
export interface RuntimeDirectory {
  /**
   * `<runtime_dir>/gitaly-<pid>`, mode 0700. Without `runtime_dir` a directory for temporary files
   * whose name ends in {@link ownerSuffix}: processes of other containers may use the same parent.
   */
  readonly path: string;
  /** `<path>/sock.d`, mode 0700. */
  readonly socketDirectory: string;
  /** Socket for hooks and for the server itself. */
  readonly internalSocket: string;
  /** Removes the directory and its contents. */
  remove(): void;
}

export interface RuntimeDirectoryOptions {
  /** Existing directory, from `runtime_dir`; default the system's for temporary files. */
  readonly parent: string | undefined;
  /**
   * Called for entries of `parent` that stay because they are not named `gitaly-<pid>` or cannot be
   * removed.
   */
  readonly onLeftAlone?: (path: string, reason: string) => void;
}

const TEMPORARY_PREFIX = 'gitaly-';

/**
 * Creates the runtime directory of this process, after removing those of dead processes.
 *
 * @throws {Error} with Gitaly's text, prefixed with `setup runtime directory: `.
 */
export async function createRuntimeDirectory(options: RuntimeDirectoryOptions): Promise<RuntimeDirectory> {
  const { parent } = options;
  let path: string;
  if (parent === undefined) {
    removeTemporaryOfDead(tmpdir());
    path = join(tmpdir(), `${TEMPORARY_PREFIX}${randomBytes(3).toString('hex')}${ownerSuffix()}`);
  } else {
    removeDead(parent, options.onLeftAlone);
    path = join(parent, `gitaly-${process.pid}`);
    // A directory with our own pid belongs to a dead process: pids are reused.
    rmSync(path, { recursive: true, force: true });
  }
  makeDirectory(path, 'creating runtime directory');
  const socketDirectory = join(path, 'sock.d');
  const remove = (): void => rmSync(path, { recursive: true, force: true });
  try {
    makeDirectory(socketDirectory, 'create internal socket directory');
    await trySocket(join(socketDirectory, 'tsocket'));
  } catch (error) {
    remove();
    throw error;
  }
  return { path, socketDirectory, internalSocket: join(socketDirectory, 'intern'), remove };
}

function makeDirectory(path: string, doing: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    throw new Error(`setup runtime directory: ${doing}: mkdir ${path}: ${systemErrorText(error)}`, {
      cause: error,
    });
  }
}

/**
 * Creates and removes a socket, so that a path that is too long fails now and not at the first
 * push.
 */
async function trySocket(path: string): Promise<void> {
  const server = createServer();
  try {
    await once(server.listen(path), 'listening');
  } catch (error) {
    const hint =
      systemErrorCode(error) === 'EINVAL'
        ? ": your socket path is likely too long, please change Gitaly's runtime directory"
        : '';
    throw new Error(
      `setup runtime directory: failed creating internal test socket: ${systemErrorText(error)}${hint}`,
      {
        cause: error,
      },
    );
  }
  await new Promise((resolve) => server.close(resolve));
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error; // closing usually removes it
  }
}

/**
 * Removes directories of processes that no longer run, or whose pid now belongs to a process of
 * another user.
 */
function removeDead(parent: string, onLeftAlone: RuntimeDirectoryOptions['onLeftAlone']): void {
  for (const entry of readdirSync(parent, { withFileTypes: true })) {
    const path = join(parent, entry.name);
    const pid = Number(/^gitaly-(\d+)$/.exec(basename(path))?.[1] ?? Number.NaN);
    if (!entry.isDirectory() || Number.isNaN(pid)) {
      onLeftAlone?.(path, 'not a runtime directory');
      continue;
    }
    if (pid !== process.pid && pid !== 0 && isProcessAlive(pid)) continue;
    try {
      rmSync(path, { recursive: true, force: true });
    } catch (error) {
      onLeftAlone?.(path, messageOf(error));
    }
  }
}

/**
 * Removes this user's temporary runtime directories whose process is dead. Those of other
 * containers stay: whether their process runs is not known here.
 */
function removeTemporaryOfDead(parent: string): void {
  for (const name of namesIn(parent)) {
    if (!name.startsWith(TEMPORARY_PREFIX) || ownerOf(name) !== 'dead') continue;
    const path = join(parent, name);
    try {
      const status = lstatSync(path);
      if (status.isDirectory() && status.uid === process.getuid?.())
        rmSync(path, { recursive: true, force: true });
    } catch {
      // Another start was faster, or the directory cannot be removed: the next start tries again.
    }
  }
}

function namesIn(parent: string): string[] {
  // On failure: others' temporary files may be hidden; creating a directory is all we need
  return attempt(() => readdirSync(parent)) ?? [];
}
