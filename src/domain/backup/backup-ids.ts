import { objectKey } from '#object-store/object-key';
import type { ObjectCall, ObjectStore } from '#object-store/object-store';
import { MissingObjectError } from '#object-store/store-error';
import { latestObject } from './manifests.ts';

const FOLDER = 'backup_ids/';

/** Notes that all repositories were backed up under an id. */
export async function writeBackupId(bucket: ObjectStore, id: string, options: ObjectCall): Promise<void> {
  await bucket.put(objectKey(FOLDER, id), nothing(), options);
}

/** Returns the id that was written last. @throws {MissingObjectError} when there is none. */
export async function readLatestBackupId(bucket: ObjectStore, options: ObjectCall): Promise<string> {
  const latest = await latestObject(bucket.list(FOLDER, options), () => true);
  if (latest === undefined) throw new MissingObjectError();
  return latest.key.slice(latest.key.lastIndexOf('/') + 1);
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
