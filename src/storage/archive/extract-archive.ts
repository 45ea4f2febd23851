import { constants } from 'node:fs';
import { chmod, mkdir, open, rmdir } from 'node:fs/promises';
import { GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { systemErrorCode } from '#base/go/system-error';
import { noteBulkBytes } from '#base/memory/bulk-memory';
import { readTar, type TarEntry, TarFormatError } from '#base/tar/read-tar';
import { asArchiveFault } from './archive-fault.ts';

export interface ExtractOptions {
  /** Entries to unpack, by their path; all others are read and dropped. */
  readonly isWanted?: (path: string) => boolean;
  /** Returns the replacement of a small file's content; `undefined` for files that stay as they are. */
  readonly filter?: (path: string) => ((content: Buffer) => Buffer) | undefined;
  readonly maxBytes?: number;
  readonly maxEntries?: number;
  readonly signal: AbortSignal;
}

/** Limit of the unpacked bytes: more than any repository has, but less than an endless archive. */
const MAX_BYTES = 2 ** 41;
const MAX_ENTRIES = 20_000_000;
const MAX_FILTERED_BYTES = 1024 * 1024;
/** Flags that never follow a link that is already there. */
const WRITE_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
/**
 * Restricts permissions to those in the archive; no write access for others, full access for the
 * server.
 */
const MODE_MASK = 0o755;
const OWN_FILE = 0o600;
const OWN_DIRECTORY = 0o700;

/**
 * Unpacks a tar archive that may be hostile into a directory that only the caller uses. Nothing
 * outside the directory is written: names that leave it, links and devices are refused. Existing
 * files are replaced. A failure leaves what was unpacked so far.
 *
 * @returns the number of entries in the archive, unwanted ones among them.
 * @throws {TarFormatError} for a damaged archive; {GitalyError} INVALID_ARGUMENT for a hostile one,
 *   RESOURCE_EXHAUSTED above the limits; system errors. Errors of a single file have its path as
 *   metadata `member`.
 */
export async function extractArchive(
  bytes: AsyncIterable<Uint8Array>,
  directory: string,
  options: ExtractOptions,
): Promise<number> {
  const { isWanted = () => true, maxBytes = MAX_BYTES, maxEntries = MAX_ENTRIES, signal } = options;
  let entries = 0;
  let unpackedBytes = 0;
  for await (const entry of readTar(bytes)) {
    signal.throwIfAborted();
    entries++;
    unpackedBytes += entry.size;
    if (entries > maxEntries || unpackedBytes > maxBytes)
      throw new GitalyError('RESOURCE_EXHAUSTED', 'archive is too large');
    const path = entryPath(entry);
    if (path === '' || !isWanted(path)) continue;
    await extractEntry(entry, directory, path, options).catch((error: unknown) => {
      if (error instanceof TarFormatError) throw error;
      throw wrap(asArchiveFault(error, entry), `extracting file ${path}`, 'INTERNAL', {
        metadata: { member: path },
      });
    });
  }
  return entries;
}

async function extractEntry(
  entry: TarEntry,
  directory: string,
  path: string,
  { filter, signal }: ExtractOptions,
): Promise<void> {
  if (entry.type === 'directory') {
    await makeParents(directory, `${path}/`);
    await chmod(`${directory}/${path}`, (entry.mode & MODE_MASK) | OWN_DIRECTORY);
    return;
  }
  await makeParents(directory, path);
  const change = filter?.(path);
  const content = change === undefined ? entry.content : [change(await whole(entry))];
  await writeFile(`${directory}/${path}`, content, (entry.mode & MODE_MASK) | OWN_FILE, signal);
}

/**
 * Creates the directories of a path. The ones that exist are directories: links are not unpacked.
 */
async function makeParents(directory: string, path: string): Promise<void> {
  const end = path.lastIndexOf('/');
  if (end === -1) return;
  try {
    await mkdir(`${directory}/${path.slice(0, end)}`, { recursive: true });
  } catch (error) {
    const code = systemErrorCode(error);
    if (code !== 'EEXIST' && code !== 'ENOTDIR') throw error;
    throw invalidArgument('a file of the archive is in place of a directory');
  }
}

async function whole({ content, size }: TarEntry): Promise<Buffer> {
  if (size > MAX_FILTERED_BYTES) throw new Error('file too large');
  return Buffer.concat(await Array.fromAsync(content));
}

async function writeFile(
  path: string,
  content: AsyncIterable<Buffer> | Iterable<Buffer>,
  mode: number,
  signal: AbortSignal,
): Promise<void> {
  await using file = await openToWrite(path, mode);
  for await (const piece of content) {
    signal.throwIfAborted();
    noteBulkBytes(piece.length);
    await file.writeFile(piece);
  }
  await file.chmod(mode);
}

/**
 * Removes a directory in whose place a file is to be, as the program tar does.
 *
 * @throws {GitalyError} INVALID_ARGUMENT if it is not empty.
 */
export async function removeEmptyDirectory(path: string | Buffer): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOTEMPTY') throw error;
    throw invalidArgument('a directory of the archive is in place of a file');
  }
}

/** Opens a file; removes an empty directory in its place. */
async function openToWrite(path: string, mode: number) {
  try {
    return await open(path, WRITE_FLAGS, mode);
  } catch (error) {
    if (systemErrorCode(error) !== 'EISDIR') throw error;
    await removeEmptyDirectory(path);
    return await open(path, WRITE_FLAGS, mode);
  }
}

/** Longest path of the system. */
const MAX_PATH_BYTES = 4000;

/**
 * Returns the clean relative path of an entry, empty for the top directory.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for a path that leaves the directory or is no text, and
 *   for links and devices.
 */
function entryPath({ name, type }: TarEntry): string {
  const text = name.toString();
  if (type !== 'file' && type !== 'directory')
    throw invalidArgument(`invalid type of file in tar: ${quote(name)}`);
  const parts = text.split('/').filter((part) => part !== '' && part !== '.');
  const isClean = !text.startsWith('/') && !parts.includes('..') && !text.includes('\0');
  if (!isClean || name.length > MAX_PATH_BYTES || !Buffer.from(text).equals(name))
    throw invalidArgument(`invalid file path in tar: ${quote(name)}`);
  return parts.join('/');
}
