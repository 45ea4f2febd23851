import type { FetchImplementation } from 'jose';

/** After a failure, keys are not fetched for this long: tokens that need them are refused. */
const FETCH_AGAIN_MS = 5_000;
/** Some thousand keys. Applies to what a compressed response contains. */
const MAX_KEYS_BYTES = 1024 * 1024;

/**
 * Returns a function that fetches a JSON Web Key Set for jose, which itself would send a request
 * for each token while the server fails, and read responses of any length.
 */
export function keyFetcher(): FetchImplementation {
  let failed: { readonly error: unknown; readonly atMs: number } | undefined;
  return async (url, options) => {
    if (failed !== undefined && performance.now() - failed.atMs < FETCH_AGAIN_MS) throw failed.error;
    try {
      const text = await keysText(await fetch(url, options));
      failed = undefined;
      return new Response(text);
    } catch (error) {
      failed = { error, atMs: performance.now() };
      throw error;
    }
  };
}

/** @throws {Error} for what is no set of keys. */
async function keysText(response: Response): Promise<string> {
  const { createLocalJWKSet } = await import('jose');
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`the server responded with ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_KEYS_BYTES) throw new Error(`the set of keys is longer than ${MAX_KEYS_BYTES} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  createLocalJWKSet(JSON.parse(text)); // checks it
  return text;
}
