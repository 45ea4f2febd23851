import { type Bucket, MissingObjectError } from '../bucket/bucket.ts';
import { objectKey } from '../bucket/object-key.ts';
import { isLater } from './manifests.ts';

const FOLDER = 'backup_ids/';

/** Notes that all repositories were backed up under an id. */
export async function writeBackupId(bucket: Bucket, id: string): Promise<void> {
  await bucket.write(objectKey(FOLDER, id), nothing());
}

/** Returns the id that was written last. @throws {MissingObjectError} when there is none. */
export async function readLatestBackupId(bucket: Bucket): Promise<string> {
  let latest: { key: string; modifiedMs: number } | undefined;
  for await (const object of bucket.list(FOLDER)) if (isLater(object, latest)) latest = object;
  if (latest === undefined) throw new MissingObjectError();
  return latest.key.slice(latest.key.lastIndexOf('/') + 1);
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
