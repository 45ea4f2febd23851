import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createFile } from '#base/files/replace-file';
import { systemErrorCode } from '#base/go/system-error';
import { JsonFields } from '#base/json-fields';
import type { Storage } from './repository-target.ts';
import { metadataPath } from './storage-layout.ts';

/**
 * Identity of a storage's file system. GitLab compares it to check whether it accesses the same
 * disk.
 */
export interface StorageMetadata {
  readonly gitalyFilesystemId: string;
}

const FILE_MODE = 0o644;

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
  const text = `{"gitaly_filesystem_id":"${randomUUID()}"}\n`;
  await createFile(metadataPath(storage), text, { durable: true, mode: FILE_MODE });
}
