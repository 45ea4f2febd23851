import { createHash, type Hash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { noteBulkBytes } from '#base/bulk-memory';
import { systemErrorCode } from '#base/go/system-error';

/** The bits by which Go marks the type of a file. @see Go: io/fs, FileMode */
const GO_DIRECTORY = 0x80000000;
const GO_SYMLINK = 0x08000000;

/**
 * Returns the SHA-1 of a file or a directory, on which the nodes of a cluster vote: of all paths,
 * modes and contents, in the order of names. Nothing at the path has the hash of nothing.
 */
export async function hashTree(path: string): Promise<Buffer> {
  const hash = createHash('sha1');
  await addEntry(hash, path, '.');
  return hash.digest();
}

async function addEntry(hash: Hash, path: string, name: string): Promise<void> {
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
    for (const child of (await readdir(path)).sort())
      await addEntry(hash, `${path}/${child}`, name === '.' ? child : `${name}/${child}`);
}

async function addContent(hash: Hash, path: string): Promise<void> {
  for await (const chunk of createReadStream(path)) {
    noteBulkBytes(chunk.length);
    hash.update(chunk);
  }
}

function goMode(stats: Stats): number {
  const type = stats.isDirectory() ? GO_DIRECTORY : stats.isSymbolicLink() ? GO_SYMLINK : 0;
  return (stats.mode & 0o777) + type;
}
