import { createHash, type Hash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { systemErrorCode } from '#base/go/system-error';
import { noteBulkBytes } from '#base/memory/bulk-memory';

/** The bits by which Go marks the type of a file. @see Go: io/fs, FileMode */
const GO_DIRECTORY = 0x80000000;
const GO_SYMLINK = 0x08000000;

const TOP = Buffer.from('.');
const SLASH = Buffer.from('/');

/**
 * Returns the SHA-1 of a file or a directory, on which the nodes of a cluster vote: of all paths,
 * modes and contents, in the order of the bytes of names. Nothing at the path has the hash of
 * nothing.
 */
export async function hashTree(path: string): Promise<Buffer> {
  const hash = createHash('sha1');
  await addEntry(hash, Buffer.from(path), TOP);
  return hash.digest();
}

/** @param name path below the top, whose own is `.`. */
async function addEntry(hash: Hash, path: Buffer, name: Buffer): Promise<void> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (stats === undefined) return;
  const mode = Buffer.alloc(4);
  mode.writeUInt32BE(goMode(stats));
  hash.update(name).update(mode);
  if (stats.isSymbolicLink()) hash.update(await readlink(path, { encoding: 'buffer' }));
  else if (stats.isFile()) await addContent(hash, path);
  else if (stats.isDirectory())
    for (const child of (await readdir(path, { encoding: 'buffer' })).sort(Buffer.compare))
      await addEntry(hash, below(path, child), name.equals(TOP) ? child : below(name, child));
}

function below(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, SLASH, name]);
}

async function addContent(hash: Hash, path: Buffer): Promise<void> {
  for await (const chunk of createReadStream(path)) {
    noteBulkBytes(chunk.length);
    hash.update(chunk);
  }
}

function goMode(stats: Stats): number {
  const type = stats.isDirectory() ? GO_DIRECTORY : stats.isSymbolicLink() ? GO_SYMLINK : 0;
  return (stats.mode & 0o777) + type;
}
