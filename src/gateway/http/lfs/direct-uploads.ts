import { createHash, randomUUID } from 'node:crypto';
import type { ObjectStore, SignedPut } from '#object-store/object-store';

const PROBE_TIMEOUT_MS = 10_000;
const [RIGHT, WRONG] = [Buffer.from('right'), Buffer.from('wrong')];

/**
 * Decides whether clients may store files in a bucket directly: only in one that refuses a content
 * with another hash. Services with the protocol of S3 may ignore the hash.
 */
export class DirectUploads {
  readonly #store: ObjectStore;
  #areSafe: Promise<boolean> | undefined;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** Reports whether they may. The first call stores and removes a small object. */
  async areSafe(): Promise<boolean> {
    if (this.#store.signedPut === undefined) return false;
    this.#areSafe ??= this.#probe().catch(() => {
      // The bucket cannot be reached now: the gateway reports that when it stores the file itself.
      this.#areSafe = undefined;
      return false;
    });
    return await this.#areSafe;
  }

  async #probe(): Promise<boolean> {
    const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
    const key = `probe-${randomUUID()}`;
    const put = await this.#store.signedPut?.(key, {
      ...{ sizeBytes: RIGHT.length, sha256: createHash('sha256').update(RIGHT).digest() },
      ...{ validMs: PROBE_TIMEOUT_MS, signal },
    });
    if (put === undefined) return false;
    try {
      return !(await isAccepted(put, WRONG, signal)) && (await isAccepted(put, RIGHT, signal));
    } finally {
      await this.#store.delete([key], { signal });
    }
  }
}

async function isAccepted({ headers, url }: SignedPut, body: Buffer, signal: AbortSignal): Promise<boolean> {
  const response = await fetch(url, { method: 'PUT', headers, body: new Uint8Array(body), signal });
  await response.body?.cancel();
  return response.ok;
}
