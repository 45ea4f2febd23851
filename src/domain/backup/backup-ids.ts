import { objectKey } from '#object-store/object-key';
import type { ObjectCall, ObjectStore } from '#object-store/object-store';
import { MissingObjectError } from '#object-store/store-error';
import { latestObject } from './manifests.ts';

const FOLDER = 'backup_ids/';
const MAX_DIGITS = 9;

/**
 * Notes that repositories were backed up under an id. The object is empty, as Gitaly's, if none
 * failed.
 *
 * @param options.failed number of repositories that failed.
 */
export async function writeBackupId(
  bucket: ObjectStore,
  id: string,
  { failed = 0, signal }: ObjectCall & { readonly failed?: number },
): Promise<void> {
  await bucket.put(objectKey(FOLDER, id), factsOf(failed), { signal });
}

/** Returns the id that was written last. @throws {MissingObjectError} when there is none. */
export async function readLatestBackupId(bucket: ObjectStore, options: ObjectCall): Promise<string> {
  const latest = await latestObject(bucket.list(FOLDER, options), () => true);
  if (latest === undefined) throw new MissingObjectError();
  return latest.key.slice(latest.key.lastIndexOf('/') + 1);
}

/** Parses a number of repositories that failed. @returns 0 without a usable one. */
export function parseFailed(value: string | undefined): number {
  return value !== undefined && value.length <= MAX_DIGITS && /^\d+$/.test(value) ? Number(value) : 0;
}

async function* factsOf(failed: number): AsyncGenerator<Uint8Array> {
  if (failed > 0) yield Buffer.from(`${JSON.stringify({ failed })}\n`);
}
