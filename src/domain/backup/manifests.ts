import { wrap } from '#base/gitaly-error';
import { isError } from '#base/is-error';
import { type Bucket, MissingObjectError, readObject } from '../bucket/bucket.ts';
import { objectKey } from '../bucket/object-key.ts';
import { type BackupManifest, decodeManifest, encodeManifest } from './manifest.ts';

/** The name under which a repository's backups are kept; need not be the one it has on disk. */
export interface BackupName {
  readonly storageName: string;
  readonly relativePath: string;
}

/** A manifest is a few lines for each step. */
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;
/** Copy of the newest manifest, for Gitaly before 18.9. */
const LATEST = '+latest';
const SUFFIX = '.toml';

/**
 * Reads the manifest of one backup.
 *
 * @throws {Error} caused by {@link MissingObjectError} when there is none.
 */
export async function findManifest(bucket: Bucket, name: BackupName, id: string): Promise<BackupManifest> {
  return prefixed('manifest: find: read manifest', () => readManifest(bucket, manifestKey(name, id)));
}

/**
 * Reads the manifest of a repository that was written last.
 *
 * @throws {Error} caused by {@link MissingObjectError} when there is none.
 */
export async function findLatestManifest(bucket: Bucket, name: BackupName): Promise<BackupManifest> {
  return prefixed('manifest: find latest', async () => {
    let latest: { key: string; modifiedMs: number } | undefined;
    const folder = `${objectKey('manifests', name.storageName, name.relativePath)}/`;
    for await (const object of bucket.list(folder)) {
      const isManifest = object.key.endsWith(SUFFIX) && !object.key.slice(folder.length).includes('/');
      if (isManifest && isLater(object, latest)) latest = object;
    }
    if (latest === undefined) throw new MissingObjectError();
    return await readManifest(bucket, latest.key);
  });
}

/** Stores a manifest, which makes the backup visible. */
export async function writeManifest(
  bucket: Bucket,
  name: BackupName,
  id: string,
  manifest: BackupManifest,
): Promise<void> {
  for (const target of [id, LATEST])
    await bucket.write(manifestKey(name, target), once(Buffer.from(encodeManifest(manifest))));
}

/** Reports whether an error means that the manifest does not exist. */
export function isMissing(error: unknown): boolean {
  for (let current = error; isError(current); current = current.cause)
    if (current instanceof MissingObjectError) return true;
  return false;
}

interface Dated {
  readonly key: string;
  readonly modifiedMs: number;
}

/** Objects of the same time are ordered by name. */
export function isLater(object: Dated, latest: Dated | undefined): boolean {
  if (latest === undefined || object.modifiedMs > latest.modifiedMs) return true;
  return object.modifiedMs === latest.modifiedMs && object.key > latest.key;
}

function manifestKey({ storageName, relativePath }: BackupName, id: string): string {
  return objectKey('manifests', storageName, relativePath, `${id}${SUFFIX}`);
}

async function readManifest(bucket: Bucket, key: string): Promise<BackupManifest> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of readObject(bucket, key)) {
    bytes += piece.length;
    if (bytes > MAX_MANIFEST_BYTES) throw new Error('the manifest is too large');
    pieces.push(piece);
  }
  return decodeManifest(Buffer.concat(pieces).toString());
}

async function prefixed<T>(prefix: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw wrap(error, prefix);
  }
}

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}
