import type { ObjectStore } from '../object-store.ts';
import type { OpenServiceOptions } from '../retry.ts';
import { parseS3Options } from './s3-options.ts';
import { loadS3Sdk } from './s3-sdk.ts';
import { S3Store } from './s3-store.ts';

/** Smallest part that S3 accepts, except for the last one. */
const MIN_PART_BYTES = 5 * 1024 * 1024;

/**
 * Opens the bucket of a URL `s3://bucket?…`. No request is sent. Credentials come from the SDK's
 * own chain: environment, files, web identity, container and instance metadata.
 *
 * @param partBytes bytes of a part; fewer than S3 accepts are raised to its limit.
 * @throws {UnsupportedStoreError} if the SDK is not installed; {Error} for a wrong option.
 */
export async function openS3(url: URL, { partBytes, onRetry }: OpenServiceOptions): Promise<ObjectStore> {
  const { client, ...options } = parseS3Options(url);
  const sdk = await loadS3Sdk();
  return new S3Store({
    ...options,
    sdk,
    onRetry,
    client: new sdk.S3Client(client),
    partBytes: Math.max(partBytes, MIN_PART_BYTES),
  });
}
