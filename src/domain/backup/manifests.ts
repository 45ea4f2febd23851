import { wrap, wrapped } from '#base/gitaly-error';
import { isError } from '#base/is-error';
import { once } from '#base/streams/once';
import { objectKey } from '#object-store/object-key';
import type { ObjectCall, ObjectFacts, ObjectStore } from '#object-store/object-store';
import { MissingObjectError } from '#object-store/store-error';
import { type BackupManifest, type BackupStep, decodeManifest, encodeManifest } from './manifest.ts';
import { readObject } from './read-object.ts';

/**
 * The name under which the backups of a repository are stored; it may differ from the path on disk.
 */
export interface BackupName {
  readonly storageName: string;
  readonly relativePath: string;
}

/** A manifest is a few lines for each step. */
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;
/** Copy of the newest manifest, for Gitaly before 18.9. */
const LATEST = '+latest';
const SUFFIX = '.toml';
const FOLDER = 'manifests/';
const REMOVED = 'the backup on which the increment is based was removed meanwhile: try again';

/**
 * Reads the manifest of one backup.
 *
 * @throws {Error} caused by {@link MissingObjectError} when there is none.
 */
export async function findManifest(
  bucket: ObjectStore,
  name: BackupName,
  id: string,
  options: ObjectCall,
): Promise<BackupManifest> {
  return await readManifest(bucket, manifestKey(name, id), options).catch(
    wrapped('manifest: find: read manifest'),
  );
}

export async function hasManifest(
  bucket: ObjectStore,
  name: BackupName,
  id: string,
  options: ObjectCall,
): Promise<boolean> {
  return (await bucket.head(manifestKey(name, id), options)) !== undefined;
}

export async function hasAnyManifest(bucket: ObjectStore, options: ObjectCall): Promise<boolean> {
  for await (const page of bucket.list(FOLDER, options)) if (page.length > 0) return true;
  return false;
}

/**
 * Reads the manifest of a repository that was written last.
 *
 * @throws {Error} caused by {@link MissingObjectError} when there is none.
 */
export async function findLatestManifest(
  bucket: ObjectStore,
  name: BackupName,
  options: ObjectCall,
): Promise<BackupManifest> {
  try {
    const { folder, isManifest } = folderOf(name);
    const latest = await latestObject(bucket.list(folder, options), isManifest);
    if (latest === undefined) throw new MissingObjectError();
    return await readManifest(bucket, latest.key, options);
  } catch (error) {
    throw wrap(error, 'manifest: find latest');
  }
}

/** Returns the steps of all backups of a repository with other ids. */
export async function stepsOfOthers({
  bucket,
  name,
  id,
  signal,
}: ObjectCall & { readonly bucket: ObjectStore; readonly name: BackupName; readonly id: string }): Promise<
  BackupStep[]
> {
  const { folder, isManifest } = folderOf(name);
  const own = [manifestKey(name, id), manifestKey(name, LATEST)];
  const found: BackupStep[] = [];
  for await (const page of bucket.list(folder, { signal }))
    for (const { key } of page)
      if (isManifest(key) && !own.includes(key))
        found.push(...(await readManifest(bucket, key, { signal })).steps);
  return found;
}

/**
 * Stores a manifest, which makes the backup visible.
 *
 * @param isWhole is asked before and after the manifest is stored whether the earlier steps are
 *   still there. If they are not, there is no manifest.
 * @throws {Error} if they are not.
 */
export async function writeManifest(
  bucket: ObjectStore,
  name: BackupName,
  id: string,
  manifest: BackupManifest,
  { isWhole = () => Promise.resolve(true), ...options }: ObjectCall & { isWhole?: () => Promise<boolean> },
): Promise<void> {
  const put = async (target: string): Promise<void> => {
    await bucket.put(manifestKey(name, target), once(Buffer.from(encodeManifest(manifest))), options);
  };
  if (!(await isWhole())) throw new Error(REMOVED);
  await put(id);
  if (!(await isWhole())) {
    await bucket.delete([manifestKey(name, id)], options);
    throw new Error(REMOVED);
  }
  await put(LATEST);
}

/**
 * Returns the keys of what shows that a backup was not removed: the references of its last step,
 * and the manifest of the backup that made them, if there is one.
 */
export async function signsOf(
  bucket: ObjectStore,
  name: BackupName,
  { steps, empty }: Pick<BackupManifest, 'steps' | 'empty'>,
  options: ObjectCall,
): Promise<string[]> {
  const refPath = steps.at(-1)?.refPath;
  if (refPath === undefined) return [];
  const key = manifestKey(name, refPath.split('/').at(-2) ?? '');
  const isStored = (await bucket.head(key, options)) !== undefined;
  // Another server need not store the references of an empty repository.
  return [...(empty ? [] : [refPath]), ...(isStored ? [key] : [])];
}

/** Reports whether an error means that the manifest does not exist. */
export function isMissing(error: unknown): boolean {
  for (let current = error; isError(current); current = current.cause)
    if (current instanceof MissingObjectError) return true;
  return false;
}

/** Returns the selected object that was stored last; `undefined` if there is none. */
export async function latestObject(
  pages: AsyncIterable<readonly ObjectFacts[]>,
  isSelected: (key: string) => boolean,
): Promise<ObjectFacts | undefined> {
  let latest: ObjectFacts | undefined;
  for await (const page of pages)
    for (const object of page) if (isSelected(object.key) && isLater(object, latest)) latest = object;
  return latest;
}

type Dated = Pick<ObjectFacts, 'key' | 'modifiedMs'>;

/** Objects of the same time are ordered by name. */
export function isLater(object: Dated, latest: Dated | undefined): boolean {
  if (latest === undefined || object.modifiedMs > latest.modifiedMs) return true;
  return object.modifiedMs === latest.modifiedMs && object.key > latest.key;
}

/** Returns the folder of a repository's manifests and a test for manifests in it. */
function folderOf({ storageName, relativePath }: BackupName) {
  const folder = `${objectKey(FOLDER, storageName, relativePath)}/`;
  const isManifest = (key: string): boolean =>
    key.endsWith(SUFFIX) && !key.slice(folder.length).includes('/');
  return { folder, isManifest };
}

function manifestKey({ storageName, relativePath }: BackupName, id: string): string {
  return objectKey(FOLDER, storageName, relativePath, `${id}${SUFFIX}`);
}

/**
 * Reads a manifest.
 *
 * @throws {Error} for one that is damaged, missing or larger than 16 MiB, and for one that
 *   contradicts the files of its last step.
 */
export async function readManifest(
  bucket: ObjectStore,
  key: string,
  options: ObjectCall,
): Promise<BackupManifest> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of readObject(bucket, key, options)) {
    bytes += piece.length;
    if (bytes > MAX_MANIFEST_BYTES) throw new Error('the manifest is too large');
    pieces.push(piece);
  }
  const { empty, ...manifest } = decodeManifest(Buffer.concat(pieces).toString());
  const last = manifest.steps.at(-1);
  if (empty === true || manifest.nonExistent) await requireNoReferences(bucket, last, options, manifest);
  return { ...manifest, empty: empty ?? (await isEmpty(bucket, last, options)) };
}

/** @throws {Error} if a step has references although its manifest states that there were none. */
async function requireNoReferences(
  bucket: ObjectStore,
  step: BackupStep | undefined,
  options: ObjectCall,
  { nonExistent }: Pick<BackupManifest, 'nonExistent'>,
): Promise<void> {
  const references = step && (await bucket.head(step.refPath, options));
  if (references === undefined || references.sizeBytes === 0) return;
  const flag = nonExistent ? 'non_existent' : 'empty';
  throw new Error(`the manifest is damaged: it has ${flag} = true, but the backup has references`);
}

/** Reports whether the last step of a backup has neither references nor a bundle. */
export async function isEmpty(
  bucket: ObjectStore,
  step: BackupStep | undefined,
  options: ObjectCall,
): Promise<boolean> {
  if (step === undefined) return false;
  const references = await bucket.head(step.refPath, options);
  return references?.sizeBytes === 0 && (await bucket.head(step.bundlePath, options)) === undefined;
}
