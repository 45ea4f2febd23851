import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { messageOf } from '#base/gitaly-error';
import type { ObjectStore } from '#object-store/object-store';
import { localDirectoryOf, openStore } from '#object-store/open-store';
import { StoreError, UnsupportedStoreError } from '#object-store/store-error';
import type { GitalyConfig } from '#platform/config/load-config';
import { type Finding, failure, ok, warning } from './finding.ts';

const LIMIT_MS = 30_000;
const NO_SIGNATURES =
  'Add base_url and secret_key_path to the URL of a directory, or use credentials that can sign.';

/**
 * Checks each configured bucket, if there is one: writes a scratch object, reads it, lists it and
 * deletes it.
 */
export async function* checkBuckets(config: GitalyConfig): AsyncGenerator<Finding, void, undefined> {
  const { backup, bundleUri, lfs } = config;
  if (backup.goCloudUrl) yield await checkBucket('bucket of [backup]', backup.goCloudUrl);
  if (lfs.url) yield await checkBucket('bucket of [lfs]', lfs.url);
  if (!bundleUri.goCloudUrl) return;
  const subject = 'bucket of [bundle_uri]';
  const finding = await checkBucket(subject, bundleUri.goCloudUrl);
  yield finding;
  if (finding.level === 'ok') yield* checkSignature(subject, bundleUri.goCloudUrl);
}

export async function checkBucket(subject: string, url: string): Promise<Finding> {
  const directory = localDirectoryOf(url);
  // Only the server creates the directory: another user's would be useless to it.
  if (directory !== undefined && !existsSync(directory.path) && directory.isCreated)
    return ok(subject, `${directory.path} does not exist yet; the server creates it`);
  try {
    const store = await openStore(url);
    await roundTrip(store, `gitaly-check-${randomUUID()}`);
    return ok(subject, 'an object was written, read, listed and deleted');
  } catch (error) {
    return failure(subject, messageOf(error), fixOf(error));
  }
}

async function roundTrip(store: ObjectStore, key: string): Promise<void> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  const content = Buffer.from(key);
  const pieces = async function* (): AsyncGenerator<Buffer> {
    yield content;
  };
  await store.put(key, pieces(), { signal, onlyIf: 'absent' });
  try {
    const read = Buffer.concat(await Array.fromAsync(store.get(key, { signal })));
    if (!read.equals(content)) throw new Error('the bucket returned another content than was written');
    const listed = (await Array.fromAsync(store.list(key, { signal }))).flat();
    if (!listed.some((facts) => facts.key === key)) throw new Error('the bucket does not list a new object');
  } finally {
    await store.delete([key], { signal: AbortSignal.timeout(LIMIT_MS) });
  }
}

async function* checkSignature(subject: string, url: string): AsyncGenerator<Finding, void, undefined> {
  const directory = localDirectoryOf(url);
  if (directory !== undefined && !existsSync(directory.path)) return;
  const signal = AbortSignal.timeout(LIMIT_MS);
  try {
    const store = await openStore(url);
    if ((await store.signedUrl('gitaly-check', { signal, validMs: 1000 })) === undefined)
      yield warning(subject, 'its objects have no addresses for clients', NO_SIGNATURES);
  } catch (error) {
    yield failure(subject, messageOf(error), fixOf(error));
  }
}

function fixOf(error: unknown): string {
  if (error instanceof StoreError && error.failure.hint !== undefined)
    return `${capital(error.failure.hint)}.`;
  if (error instanceof UnsupportedStoreError) return 'Install the packages, or correct the URL.';
  return 'See docs/backup.md for the options and credentials of each kind of bucket.';
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
