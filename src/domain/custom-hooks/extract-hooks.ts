import { constants } from 'node:fs';
import { chmod, type FileHandle, link, lstat, lutimes, mkdir, open, symlink, unlink } from 'node:fs/promises';
import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { systemErrorCode } from '#base/go/system-error';
import { noteBulkBytes } from '#base/memory/bulk-memory';
import { readTar, type TarEntry } from '#base/tar/read-tar';
import { asArchiveFault } from '#storage/archive/archive-fault';
import { removeEmptyDirectory } from '#storage/archive/extract-archive';

/** Limits of an archive: hooks are scripts, or a few programs. */
const MAX_ENTRIES = 10_000;
const MAX_BYTES = 1 << 30;
const MAX_PATH_BYTES = 4000;

const TOP = 'custom_hooks';
/** Mode of the directory if the archive has no entry for it. */
const EMPTY_MODE = 0o700;
const PARENT_MODE = 0o755;
/** No write permission for others, and no special bits. */
const MODE_MASK = 0o755;
const WRITE_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Unpacks the entries `custom_hooks` of a tar archive, which may be hostile, into a directory that
 * only the caller uses. Other entries are skipped; without any, `custom_hooks` is an empty
 * directory. Symbolic links are created and never followed, so nothing outside is written. Files
 * and links have the times of the archive, as with the program tar.
 *
 * @returns the path of `custom_hooks`, which is a file if it is one in the archive.
 * @throws {TarFormatError} for a damaged archive; {GitalyError} for a hostile one and above the
 *   limits; system errors.
 */
export async function extractHooks(
  bytes: AsyncIterable<Uint8Array>,
  directory: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<string> {
  let entries = 0;
  let unpackedBytes = 0;
  /** Entries by path below the directory. */
  const times = new Map<string, number>();
  for await (const entry of readTar(bytes)) {
    signal.throwIfAborted();
    entries++;
    unpackedBytes += entry.size;
    if (entries > MAX_ENTRIES || unpackedBytes > MAX_BYTES)
      throw new GitalyError('RESOURCE_EXHAUSTED', 'archive is too large');
    const parts = partsOf(entry.name);
    if (parts[0] !== TOP) continue;
    await extract(entry, directory, parts, times).catch((error: unknown) => {
      throw asArchiveFault(error, entry);
    });
  }
  // What is created in a directory changes its time.
  for (const [path, mtime] of times) await lutimes(pathOf(directory, [path]), mtime, mtime);
  const top = `${directory}/${TOP}`;
  if ((await statsOf(Buffer.from(top))) === undefined) await mkdir(top, EMPTY_MODE);
  return top;
}

/**
 * Returns the parts of the path of an entry to extract, one character per byte: names of files need
 * not be UTF-8. As with the program tar, an entry of another spelling (`./custom_hooks`) is
 * skipped.
 */
function partsOf(name: Buffer): string[] {
  const text = name.toString('latin1');
  if (text !== TOP && !text.startsWith(`${TOP}/`)) return [];
  const parts = text.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || text.includes('\0') || name.length > MAX_PATH_BYTES)
    throw invalidArgument(`invalid file path in tar: ${quote(name)}`);
  return parts;
}

function pathOf(directory: string, parts: readonly string[]): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(parts.join('/'), 'latin1')]);
}

async function extract(
  entry: TarEntry,
  directory: string,
  parts: readonly string[],
  times: Map<string, number>,
): Promise<void> {
  await makeParents(directory, parts);
  const path = pathOf(directory, parts);
  times.set(parts.join('/'), entry.mtime);
  const mode = entry.mode & MODE_MASK;
  switch (entry.type) {
    case 'directory':
      await makeDirectory(path);
      return await chmod(path, mode | 0o700);
    case 'file':
      return await writeFile(path, mode | 0o400, entry);
    case 'symlink':
      await removeFile(path);
      return await symlink(entry.linkName, path);
    case 'hardlink': {
      const target = partsOf(entry.linkName);
      if (target[0] !== TOP) throw refused(entry);
      await requireDirectories(directory, target.slice(0, -1));
      await removeFile(path);
      return await link(pathOf(directory, target), path);
    }
    default:
      throw refused(entry);
  }
}

function refused({ name }: TarEntry): GitalyError {
  return invalidArgument(`invalid type of file in tar: ${quote(name)}`);
}

async function makeParents(directory: string, parts: readonly string[]): Promise<void> {
  for (let count = 1; count < parts.length; count++)
    await makeDirectory(pathOf(directory, parts.slice(0, count)));
}

/** Creates a directory if it is missing. @throws when a link or a file is in its place. */
async function makeDirectory(path: Buffer): Promise<void> {
  try {
    await mkdir(path, PARENT_MODE);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
    if ((await lstat(path)).isDirectory()) return;
    throw invalidArgument('invalid file path in tar: not a directory');
  }
}

async function requireDirectories(directory: string, parts: readonly string[]): Promise<void> {
  for (let count = 1; count <= parts.length; count++) {
    const stats = await statsOf(pathOf(directory, parts.slice(0, count)));
    if (stats?.isDirectory() !== true) throw invalidArgument('invalid link in tar: not a directory');
  }
}

/**
 * Removes an earlier entry of the same path.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for a directory that is not empty.
 */
async function removeFile(path: Buffer): Promise<void> {
  const stats = await statsOf(path);
  if (stats?.isDirectory() === true) await removeEmptyDirectory(path);
  else if (stats !== undefined) await unlink(path);
}

async function writeFile(path: Buffer, mode: number, { content }: TarEntry): Promise<void> {
  await removeFile(path);
  await using file: FileHandle = await open(path, WRITE_FLAGS, mode | 0o200);
  for await (const piece of content) {
    noteBulkBytes(piece.length);
    await file.writeFile(piece);
  }
  await file.chmod(mode);
}

async function statsOf(path: Buffer) {
  return await lstat(path).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
}
