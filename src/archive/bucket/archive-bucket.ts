import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { timerMs } from '#base/async/timer-ms';
import { Chain, type ChainOptions } from '#generations/chain/chain';
import { STORE } from '#generations/codec/small-records';
import { type Bucket, type Environment, type ProtocolTimes, TIMES } from '#generations/environment';
import { type RepositoryKeys, repositoryKeys, STORE_KEY } from '#generations/keys';
import { type OpenedBucket, openBucket } from '#generations/open-bucket';
import { Paths } from '#generations/paths';
import { StoreBucket } from '#generations/store-bucket';
import { systemClock, systemRandom } from '#generations/system-environment';
import type { ObjectStore } from '#object-store/object-store';
import type { StoreObserver } from '#object-store/observed-store';
import { localDirectoryOf, openStore } from '#object-store/open-store';
import { PrefixedStore } from '#object-store/prefixed-store';
import { ReadOnlyStore } from '#object-store/read-only-store';
import type { PackFile } from '../capture/make-pack.ts';
import { RememberedGenerations } from './remembered-generations.ts';

const SECOND_MS = 1000;

/**
 * Nobody reads by this lease, so that it is renewed less often than that of a server. No call waits
 * for a write, so that a doubt is ended early.
 */
export const ARCHIVE_TIMES: ProtocolTimes = {
  ...TIMES,
  ttlMs: 30 * SECOND_MS,
  renewMs: 10 * SECOND_MS,
  writeMs: 5 * SECOND_MS,
  // What is deleted is older than all that is kept.
  graceMs: 30 * 60 * SECOND_MS,
};

/** Of a chain that was read a moment ago few generations are new. */
const READ_AHEAD = 4;
const LFS_FOLDER = 'lfs/';
const TRANSFER_MS_PER_MIB = 4000;
const MIN_TRANSFER_MS = 60_000;

/** A bucket with an archive: the environment of the protocol, and objects larger than memory. */
export interface ArchiveBucket {
  readonly url: string;
  readonly environment: Environment;
  readonly times: ProtocolTimes;
  readonly store: ObjectStore;
  /** The bucket itself, without what this process remembers of it. */
  readonly direct: Bucket;
  readonly paths: Paths;
  /** Identity of the bucket: another one has nothing of what was archived. */
  readonly incarnation: string;
  readonly signal: AbortSignal;
}

export interface OpenArchiveOptions {
  readonly observer?: StoreObserver | undefined;
  readonly times?: ProtocolTimes;
  /** Ends all requests. */
  readonly signal: AbortSignal;
}

/** Opens the bucket of an archive. @throws {Error} that names what is missing. */
export async function openArchiveBucket(
  url: string,
  { observer, signal, times = ARCHIVE_TIMES }: OpenArchiveOptions,
): Promise<ArchiveBucket> {
  const options = { random: systemRandom, signal, ...(observer && { observer }) };
  return archiveBucket(await openBucket(url, options), { url, signal, times });
}

/**
 * Opens an archive that another server may write, to read it. Every write is an error.
 *
 * @throws {Error} if there is no archive.
 */
export async function openReadOnlyArchive(url: string, signal: AbortSignal): Promise<ArchiveBucket> {
  const directory = localDirectoryOf(url);
  const isThere = directory === undefined || existsSync(directory.path);
  const store = isThere ? new ReadOnlyStore(await openStore(url)) : undefined;
  const bucket = store && new StoreBucket(store, { signal });
  const identity = await bucket?.get(STORE_KEY);
  if (store === undefined || bucket === undefined || identity === undefined)
    throw new Error(`there is no archive at ${url.replace(/[?#].*$/s, '')}`);
  const { incarnation } = STORE.open(identity.content);
  return archiveBucket({ bucket, incarnation, store }, { url, signal, times: ARCHIVE_TIMES });
}

function archiveBucket(
  { bucket, incarnation, store }: OpenedBucket,
  { signal, times, url }: Pick<ArchiveBucket, 'signal' | 'times' | 'url'>,
): ArchiveBucket {
  const remembered = new RememberedGenerations(bucket);
  const environment = { bucket: remembered, clock: systemClock(signal), random: systemRandom };
  const paths = new Paths(environment);
  return { url, environment, times, store, direct: bucket, paths, incarnation, signal };
}

/** Returns the chain of the repository with an id. */
export function chainOf({ environment, times }: ArchiveBucket, id: string): Chain {
  const options: ChainOptions = { ...environment, times, keys: repositoryKeys(id), readAhead: READ_AHEAD };
  return new Chain(options);
}

/** Uploads a pack from a file. @returns its name. */
export async function uploadPackFile(
  { signal, store }: ArchiveBucket,
  chain: Chain,
  { checksum, path, sizeBytes }: PackFile,
): Promise<string> {
  const name = chain.packName(checksum);
  const ended = AbortSignal.any([signal, AbortSignal.timeout(transferMs(sizeBytes))]);
  await store.put(chain.options.keys.pack(name), createReadStream(path), { sizeBytes, signal: ended });
  return name;
}

/** Returns the time after which the upload or download of a number of bytes is given up. */
export function transferMs(sizeBytes: number): number {
  return timerMs(Math.max(MIN_TRANSFER_MS, (sizeBytes / 2 ** 20) * TRANSFER_MS_PER_MIB));
}

/** Returns the files of Git LFS in an archive, with the keys that they have in the server's store. */
export function lfsFilesOf({ store }: Pick<ArchiveBucket, 'store'>): ObjectStore {
  return new PrefixedStore(store, LFS_FOLDER);
}

/** Yields the bytes of a pack. @throws {DamagedPackError} after them, if they are not those of its name. */
export async function* readPack(
  { store }: ArchiveBucket,
  keys: RepositoryKeys,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const digest = createHash('sha256');
  for await (const piece of store.get(keys.pack(name), { signal })) {
    digest.update(piece);
    yield piece;
  }
  if (!name.startsWith(`${digest.digest('hex')}-`)) throw new DamagedPackError(name);
}

/** A pack in the bucket is not as it was uploaded. */
export class DamagedPackError extends Error {
  override readonly name = 'DamagedPackError';
  readonly pack: string;

  constructor(pack: string) {
    super(`the pack ${pack} is damaged in the bucket`);
    this.pack = pack;
  }
}
