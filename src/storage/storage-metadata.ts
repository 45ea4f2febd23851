import { randomUUID } from 'node:crypto';
import { link, readFile, unlink, writeFile } from 'node:fs/promises';
import { systemErrorCode } from '#base/go/system-error';
import { JsonFields } from '#base/json-fields';
import { syncPath } from './lifecycle/sync-tree.ts';
import type { Storage } from './repository-target.ts';
import { metadataPath } from './storage-layout.ts';

/**
 * Identity of a storage's file system. GitLab compares it to check whether it accesses the same
 * disk.
 */
export interface StorageMetadata {
  readonly gitalyFilesystemId: string;
}

/** Reads the metadata. @returns `undefined` if the storage has none, or they are unreadable. */
export async function readStorageMetadata(storage: Storage): Promise<StorageMetadata | undefined> {
  let text: string;
  try {
    text = await readFile(metadataPath(storage), 'utf8');
  } catch (error) {
    if (systemErrorCode(error) !== undefined) return undefined;
    throw error;
  }
  // A damaged file counts as no identity.
  const id = JsonFields.parse(text)?.text('gitaly_filesystem_id');
  return id === undefined ? undefined : { gitalyFilesystemId: id };
}

/**
 * Creates the identity of a storage if it has none yet. An existing file is never changed, whatever
 * it contains.
 */
export async function ensureStorageMetadata(storage: Storage): Promise<void> {
  const file = metadataPath(storage);
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, `{"gitaly_filesystem_id":"${randomUUID()}"}\n`, { mode: 0o644 });
  try {
    await syncPath(draft);
    await link(draft, file);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
  } finally {
    await unlink(draft);
  }
}
