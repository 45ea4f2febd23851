import { objectKey } from '#object-store/object-key';
import type { ObjectCall, ObjectStore } from '#object-store/object-store';
import type { BackupManifest, BackupStep } from './manifest.ts';
import { isEmpty } from './manifests.ts';
import { readObject } from './read-object.ts';

/** The content of a pointer is an id. */
const MAX_POINTER_BYTES = 4096;
/** Name of a pointer. */
export const LATEST = 'LATEST';
/** Number of the last step, of at most 9,999. */
const STEP_NUMBER = /^\d{1,4}$/;

/**
 * Finds a backup that was made before there were manifests. Gitaly 15 wrote pointers:
 *
 *     <repository>/LATEST                       the latest id
 *     <repository>/<id>/LATEST                  the number of its last step, such as 002
 *     <repository>/<id>/001.bundle, 001.refs, 001.custom_hooks.tar
 *
 * Versions before have one backup: `<repository>.bundle`, `<repository>.refs` and
 * `<repository>/custom_hooks.tar`. The path of the repository is without `.git`.
 *
 * @param id empty for the latest.
 * @returns `undefined` if there is none. The object format and HEAD are not known.
 */
export async function findOlderBackup(
  store: ObjectStore,
  relativePath: string,
  id: string,
  options: ObjectCall,
): Promise<BackupManifest | undefined> {
  const path = olderPath(relativePath);
  const pointed = await findPointed(store, path, options, id);
  if (pointed !== undefined) {
    const manifest = manifestOf(pointed.steps);
    // 16.7 also stores an empty repository; it restores every one as SHA-1.
    const empty = await isEmpty(store, pointed.steps.at(-1), options);
    return empty ? { ...manifest, empty, objectFormat: 'sha1' } : manifest;
  }
  if (id !== '') return undefined;
  const step = legacyStep(path);
  return (await store.head(step.bundlePath, options)) === undefined ? undefined : manifestOf([step]);
}

/** Returns the backup of an empty repository: it has no bundle, but may have custom hooks. */
export function emptyOlderBackup(relativePath: string): BackupManifest {
  return { ...manifestOf([legacyStep(olderPath(relativePath))]), empty: true, objectFormat: 'sha1' };
}

function legacyStep(path: string): BackupStep {
  return {
    bundlePath: objectKey(`${path}.bundle`),
    refPath: objectKey(`${path}.refs`),
    customHooksPath: objectKey(path, 'custom_hooks.tar'),
  };
}

/** Returns the path of a repository in these layouts. */
export function olderPath(relativePath: string): string {
  return relativePath.replace(/\.git$/, '');
}

/** Finds a backup with pointers. @param id empty for the latest. */
export async function findPointed(
  store: ObjectStore,
  path: string,
  options: ObjectCall,
  id = '',
): Promise<{ readonly folder: string; readonly steps: readonly BackupStep[] } | undefined> {
  const wanted = id === '' ? await readPointer(store, path, options) : id;
  if (wanted === undefined) return undefined;
  const folder = objectKey(path, wanted);
  const last = await readPointer(store, folder, options);
  if (last === undefined) return undefined;
  if (!STEP_NUMBER.test(last)) throw new Error('find: determine increment ID: it is no number');
  const steps = Array.from({ length: Number(last) }, (_, index) => numberedStep(folder, index + 1));
  return { folder, steps };
}

/** Returns the step with a number in the folder of a backup with pointers. */
export function numberedStep(folder: string, number: number): BackupStep {
  const key = (of: number, suffix: string): string =>
    objectKey(folder, `${String(of).padStart(3, '0')}.${suffix}`);
  return {
    bundlePath: key(number, 'bundle'),
    refPath: key(number, 'refs'),
    ...(number > 1 && { previousRefPath: key(number - 1, 'refs') }),
    customHooksPath: key(number, 'custom_hooks.tar'),
  };
}

function manifestOf(steps: readonly BackupStep[]): BackupManifest {
  return { empty: false, nonExistent: false, objectFormat: '', headReference: '', steps };
}

/** Returns the contents of the pointer in a folder; `undefined` if there is none. */
async function readPointer(
  store: ObjectStore,
  folder: string,
  options: ObjectCall,
): Promise<string | undefined> {
  const key = objectKey(folder, LATEST);
  if ((await store.head(key, options)) === undefined) return undefined;
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of readObject(store, key, options)) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > MAX_POINTER_BYTES) throw new Error(`${key} is no pointer to a backup`);
  }
  return Buffer.concat(pieces).toString().trimEnd() || undefined;
}
