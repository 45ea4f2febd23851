import { constants, type Stats } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { noteBulkBytes } from '#base/memory/bulk-memory';
import { END_OF_ARCHIVE, paddingOf } from '#base/tar/tar-format';
import { tarHeader } from '#base/tar/tar-header';

export interface ArchiveTreeOptions {
  /** Name of the top entry in the archive. */
  readonly name: string;
  readonly signal: AbortSignal;
}

/** Flags that do not follow a link that took the place of the file, and do not wait for a pipe. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const READ_BYTES = 128 * 1024;
const SLASH = Buffer.from('/');

/**
 * Yields a tar archive of a file or a directory, in the order of names. Symbolic links stay links;
 * devices, pipes and sockets are left out, as is what vanishes meanwhile. Yields nothing when there
 * is nothing at the path.
 *
 * @see Gitaly: internal/archive, WriteTarball
 */
export async function* archiveTree(
  path: string,
  { name, signal }: ArchiveTreeOptions,
): AsyncGenerator<Buffer, void, undefined> {
  let isEmpty = true;
  for await (const piece of entries(Buffer.from(path), Buffer.from(name), signal)) {
    isEmpty = false;
    yield piece;
  }
  if (!isEmpty) yield END_OF_ARCHIVE;
}

async function* entries(path: Buffer, name: Buffer, signal: AbortSignal): AsyncGenerator<Buffer> {
  signal.throwIfAborted();
  const stats = await lstat(path).catch(ignoreMissing);
  if (stats === undefined) return;
  const mtime = stats.mtimeMs / 1000;
  if (stats.isSymbolicLink()) {
    const linkName = await readlink(path, { encoding: 'buffer' });
    yield tarHeader({ name, type: 'symlink', mode: 0o777, linkName, size: 0, mtime });
  } else if (stats.isFile()) {
    yield* file(path, name, signal);
  } else if (stats.isDirectory()) {
    const below = Buffer.concat([name, SLASH]);
    yield tarHeader({ name: below, type: 'directory', mode: archiveMode(stats), size: 0, mtime });
    const names = await readdir(path, { encoding: 'buffer' });
    for (const child of names.sort(Buffer.compare))
      yield* entries(Buffer.concat([path, SLASH, child]), Buffer.concat([below, child]), signal);
  }
}

async function* file(path: Buffer, name: Buffer, signal: AbortSignal): AsyncGenerator<Buffer> {
  await using handle = await open(path, OPEN_FLAGS);
  const stats = await handle.stat();
  yield tarHeader({
    name,
    type: 'file',
    mode: archiveMode(stats),
    size: stats.size,
    mtime: stats.mtimeMs / 1000,
  });
  for (let left = stats.size; left > 0; ) {
    signal.throwIfAborted();
    const length = Math.min(left, READ_BYTES);
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(length), 0, length);
    if (bytesRead === 0) throw new Error('a file has become shorter');
    left -= bytesRead;
    noteBulkBytes(bytesRead);
    yield buffer.subarray(0, bytesRead);
  }
  yield Buffer.alloc(paddingOf(stats.size));
}

/**
 * Returns the mode in the archive. Whoever unpacks it may write, and can restrict the permissions.
 */
function archiveMode(stats: Stats): number {
  const isExecutable = stats.isDirectory() || (stats.mode & 0o111) !== 0;
  return (stats.mode & 0o777) | (isExecutable ? 0o777 : 0o666);
}
