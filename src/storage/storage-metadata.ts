import { randomUUID } from 'node:crypto';
import { link, readFile, unlink, writeFile } from 'node:fs/promises';
import { systemErrorCode } from '#base/system-error';
import type { Storage } from './repository-target.ts';
import { metadataPath } from './storage-layout.ts';
import { syncPath } from './sync-tree.ts';

/** What identifies the file system of a storage. GitLab compares it to find out whether it sees the same disk. */
export interface StorageMetadata {
  readonly gitalyFilesystemId: string;
}

/** @returns `undefined` when the storage has no metadata, or none that can be read. */
export async function readStorageMetadata(storage: Storage): Promise<StorageMetadata | undefined> {
  let text: string;
  try {
    text = await readFile(metadataPath(storage), 'utf8');
  } catch (error) {
    if (systemErrorCode(error) !== undefined) return undefined;
    throw error;
  }
  return parseStorageMetadata(text);
}

/** Gives a storage its identity when it has none yet. An existing file is never changed, whatever is in it. */
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

function parseStorageMetadata(text: string): StorageMetadata | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined; // A file that somebody damaged counts as no identity.
  }
  if (typeof parsed !== 'object' || parsed === null || !('gitaly_filesystem_id' in parsed)) return undefined;
  const id = parsed.gitaly_filesystem_id;
  return typeof id === 'string' ? { gitalyFilesystemId: id } : undefined;
}
