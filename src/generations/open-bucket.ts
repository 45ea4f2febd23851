import { kernelLock } from '#object-store/file/lock-object';
import type { ObjectStore } from '#object-store/object-store';
import { localDirectoryOf, type OpenStoreOptions, openStore } from '#object-store/open-store';
import { STORE } from './codec/small-records.ts';
import type { Bucket, NonceSource } from './environment.ts';
import { ProtocolError } from './errors.ts';
import { STORE_KEY } from './keys.ts';
import { type MissingGuarantee, probeBucket } from './probe.ts';
import { StoreBucket } from './store-bucket.ts';

/** Time of all requests of the probe together. */
const PROBE_MS = 60_000;

/** A bucket that gives the guarantees of the protocol. */
export interface OpenedBucket {
  readonly bucket: Bucket;
  /** The same bucket, for objects that are larger than memory. */
  readonly store: ObjectStore;
  /** Identity of the bucket: all that was learned of another one does not hold. */
  readonly incarnation: string;
}

export interface OpenBucketOptions extends OpenStoreOptions {
  readonly random: NonceSource;
  readonly signal: AbortSignal;
}

/**
 * Opens the bucket of a URL, for generations.
 *
 * @param signal ends all requests.
 * @throws {Error} that names the missing guarantee; {Error} if the bucket cannot be reached.
 */
export async function openBucket(
  url: string,
  { random, signal, ...options }: OpenBucketOptions,
): Promise<OpenedBucket> {
  const store = await openStore(url, options);
  const missing = await missingGuarantee(url, store, { random, signal });
  if (missing !== undefined) throw new Error(sentenceOf(missing));
  const bucket = new StoreBucket(store, { signal });
  return { bucket, store, incarnation: await incarnationOf(bucket, random) };
}

/** Returns the first guarantee that a bucket does not give; `undefined` if it gives all. */
export async function missingGuarantee(
  url: string,
  store: ObjectStore,
  { random, signal }: { readonly random: NonceSource; readonly signal: AbortSignal },
): Promise<MissingGuarantee | undefined> {
  if (localDirectoryOf(url) !== undefined && kernelLock() === undefined)
    return {
      guarantee: 'a lock ends with its process, and not before',
      observed: 'the locks of this directory can be broken without the optional package koffi',
      fix: 'Install koffi: npm install koffi.',
    };
  const ended = AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)]);
  return await probeBucket(store, { nonce: random.nonce(), signal: ended });
}

export function sentenceOf({ guarantee, observed, fix }: MissingGuarantee): string {
  return `the bucket cannot hold repositories: it must be true that ${guarantee}, but ${observed}. ${fix}`;
}

/** Returns the identity of a bucket, which its first server writes. */
async function incarnationOf(bucket: Bucket, random: NonceSource): Promise<string> {
  const object = await bucket.get(STORE_KEY);
  if (object !== undefined) return STORE.open(object.content).incarnation;
  await bucket.create(STORE_KEY, STORE.seal({ incarnation: random.nonce() }));
  const created = await bucket.get(STORE_KEY);
  if (created === undefined) throw new ProtocolError('unavailable', 'the bucket did not store its identity');
  return STORE.open(created.content).incarnation;
}
