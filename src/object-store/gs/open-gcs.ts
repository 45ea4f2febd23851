import { httpConnections } from '../http-request.ts';
import type { ObjectStore } from '../object-store.ts';
import type { OpenServiceOptions } from '../retry.ts';
import { openGcsAuth } from './gcs-auth.ts';
import { GcsClient } from './gcs-client.ts';
import { parseGcsOptions } from './gcs-options.ts';
import { GcsStore } from './gcs-store.ts';

/** Parts are multiples of this. */
const UNIT_BYTES = 256 * 1024;
const DEFAULT_PART_BYTES = 8 * 1024 * 1024;

/**
 * Opens the bucket of a URL `gs://bucket?…`. No request is sent.
 *
 * @param partBytes bytes of a part, raised to what the service accepts; 0 selects the default.
 * @throws {UnsupportedStoreError} if the library is not installed; {Error} for a wrong option.
 */
export async function openGcs(url: URL, { partBytes, onRetry }: OpenServiceOptions): Promise<ObjectStore> {
  const options = parseGcsOptions(url, process.env);
  const { bucket, endpoint } = options;
  const client = new GcsClient(httpConnections(endpoint), await openGcsAuth(options), { bucket, onRetry });
  const wanted = partBytes === 0 ? DEFAULT_PART_BYTES : partBytes;
  return new GcsStore({
    client,
    onRetry,
    bucket,
    endpoint,
    partBytes: Math.ceil(wanted / UNIT_BYTES) * UNIT_BYTES,
  });
}
