import { objectKey } from '#object-store/object-key';
import type { ObjectCall, ObjectStore } from '#object-store/object-store';
import type { BackupManifest, BackupStep } from './manifest.ts';
import { readObject } from './read-object.ts';

/** The content of a pointer is an id. */
const MAX_POINTER_BYTES = 4096;
const LATEST = 'LATEST';
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
  const path = relativePath.replace(/\.git$/, '');
  const wanted = id === '' ? await readPointer(store, path, options) : id;
  if (wanted !== undefined) return await findByPointer(store, objectKey(path, wanted), options);
  const bundlePath = objectKey(`${path}.bundle`);
  if ((await store.head(bundlePath, options)) === undefined) return undefined;
  const refPath = objectKey(`${path}.refs`);
  return manifestOf([{ bundlePath, refPath, customHooksPath: objectKey(path, 'custom_hooks.tar') }]);
}

async function findByPointer(
  store: ObjectStore,
  folder: string,
  options: ObjectCall,
): Promise<BackupManifest | undefined> {
  const last = await readPointer(store, folder, options);
  if (last === undefined) return undefined;
  if (!STEP_NUMBER.test(last)) throw new Error('find: determine increment ID: it is no number');
  const key = (number: number, suffix: string): string =>
    objectKey(folder, `${String(number).padStart(3, '0')}.${suffix}`);
  const steps = Array.from({ length: Number(last) }, (_, index): BackupStep => {
    const number = index + 1;
    return {
      bundlePath: key(number, 'bundle'),
      refPath: key(number, 'refs'),
      ...(index > 0 && { previousRefPath: key(index, 'refs') }),
      customHooksPath: key(number, 'custom_hooks.tar'),
    };
  });
  return manifestOf(steps);
}

function manifestOf(steps: readonly BackupStep[]): BackupManifest {
  return { empty: false, nonExistent: false, objectFormat: '', headReference: '', steps };
}

/** Returns what the pointer in a folder names; `undefined` if there is none. */
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
