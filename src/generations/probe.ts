import { messageOf } from '#base/gitaly-error';
import type { ObjectStore, PutCondition } from '#object-store/object-store';
import { MissingObjectError, PreconditionError, StoreError } from '#object-store/store-error';

/** Requests at once, each on a connection of its own. */
const AT_ONCE = 8;
const MAX_CONFLICTS = 20;

/** A guarantee that the protocol needs and a bucket does not give. */
export interface MissingGuarantee {
  /** The guarantee, as a sentence. */
  readonly guarantee: string;
  /** The observation that contradicts it. */
  readonly observed: string;
  readonly fix: string;
}

interface Probe {
  readonly store: ObjectStore;
  readonly signal: AbortSignal;
  /** Returns a key that was not used before. */
  readonly key: (name: string) => string;
}

type Check = (probe: Probe) => Promise<MissingGuarantee | undefined>;

const CONDITIONS = 'Use a service that supports If-None-Match and If-Match for every write.';
const NO_CACHE = 'Give the address of the bucket itself, without a cache, proxy or replica in front.';
const LIST_BUCKET = 'Permit the listing of the bucket (s3:ListBucket): without it a missing key is 403.';
const NO_RETENTION =
  'Remove retention and legal holds. Life cycle rules may only be for unfinished uploads and old versions.';

/** The checks, in their order. Each uses its own keys. */
const CHECKS: readonly Check[] = [
  checkMissing,
  checkCreate,
  checkCreators,
  checkReplace,
  checkFreshReads,
  checkDelete,
];

/**
 * Checks that a bucket gives the guarantees of the protocol, with objects below a prefix that are
 * deleted again.
 *
 * @param nonce makes the keys unique.
 * @returns the first guarantee that is missing; `undefined` if the bucket can be used.
 * @throws {Error} if the bucket cannot be reached.
 */
export async function probeBucket(
  store: ObjectStore,
  { nonce, signal }: { readonly nonce: string; readonly signal: AbortSignal },
): Promise<MissingGuarantee | undefined> {
  const used: string[] = [];
  const key = (name: string): string => {
    const made = `probe/${nonce}/${name}`;
    used.push(made);
    return made;
  };
  try {
    for (const check of CHECKS) {
      const missing = await check({ store, signal, key });
      if (missing !== undefined) return missing;
    }
    return undefined;
  } finally {
    // A bucket that keeps objects was reported above.
    await store.delete(used, { signal }).catch(() => {});
  }
}

/** Checks that a missing key is 404: a 403 says nothing about the key. */
async function checkMissing({ store, signal, key }: Probe): Promise<MissingGuarantee | undefined> {
  try {
    await Array.fromAsync(store.get(key('missing'), { signal }));
  } catch (error) {
    if (error instanceof MissingObjectError) return undefined;
    const isRefusal =
      error instanceof StoreError && /^(?:AccessDenied|Forbidden|forbidden)$/.test(error.failure.code);
    if (!isRefusal) throw error;
    return {
      guarantee: 'a missing object is reported as missing',
      observed: messageOf(error),
      fix: LIST_BUCKET,
    };
  }
  return { guarantee: 'a missing object is reported as missing', observed: 'it was read', fix: NO_CACHE };
}

/** Checks that the second create of a key fails. */
async function checkCreate(probe: Probe): Promise<MissingGuarantee | undefined> {
  const name = probe.key('created');
  await put(probe, name, 'first', 'absent');
  if ((await refused(probe, name, 'second', 'absent')) && (await read(probe, name)) === 'first')
    return undefined;
  const observed = 'a second one replaced it: the service ignores If-None-Match';
  return { guarantee: 'an object is created only if there is none', observed, fix: CONDITIONS };
}

/** Checks that one of several creators of a key wins, and that its object is there. */
async function checkCreators(probe: Probe): Promise<MissingGuarantee | undefined> {
  const name = probe.key('creators');
  const guarantee = 'of several creators of an object exactly one succeeds';
  const texts = Array.from({ length: AT_ONCE }, (_, index) => `creator ${index}`);
  const results = await Promise.all(texts.map((text) => refused(probe, name, text, 'absent')));
  const winners = texts.filter((_, index) => results[index] === false);
  const there = await read(probe, name);
  if (winners.length === 1 && winners[0] === there) return undefined;
  return { guarantee, observed: `${winners.length} of ${AT_ONCE} succeeded`, fix: CONDITIONS };
}

/** Checks that a replacement of an old version fails. */
async function checkReplace(probe: Probe): Promise<MissingGuarantee | undefined> {
  const name = probe.key('replaced');
  const guarantee = 'an object is replaced only if it has the version that was read';
  const version = await put(probe, name, 'one', 'absent');
  await put(probe, name, 'two', { version });
  if (!(await refused(probe, name, 'three', { version })))
    return {
      guarantee,
      observed: 'an old version was accepted: the service ignores If-Match',
      fix: CONDITIONS,
    };
  if ((await read(probe, name)) === 'two') return undefined;
  return { guarantee, observed: 'a refused write was stored', fix: CONDITIONS };
}

/** Checks that reads on all connections return the last write, also after older reads. */
async function checkFreshReads(probe: Probe): Promise<MissingGuarantee | undefined> {
  const guarantee = 'a read returns the last write';
  const name = probe.key('fresh');
  const readAll = async (): Promise<readonly (string | undefined)[]> =>
    await Promise.all(Array.from({ length: AT_ONCE }, () => read(probe, name)));
  await readAll(); // a cache may keep that it is missing
  let version = await put(probe, name, 'write 0', 'absent');
  for (let count = 0; ; count++) {
    const stale = (await readAll()).filter((text) => text !== `write ${count}`);
    if (stale.length > 0)
      return { guarantee, observed: `${stale.length} of ${AT_ONCE} reads were older`, fix: NO_CACHE };
    if (count === 2) return undefined;
    version = await put(probe, name, `write ${count + 1}`, { version });
  }
}

/** Checks that a deleted object is missing, and can be created again. */
async function checkDelete(probe: Probe): Promise<MissingGuarantee | undefined> {
  const guarantee = 'a deleted object is missing';
  const name = probe.key('deleted');
  await put(probe, name, 'one', 'absent');
  try {
    await probe.store.delete([name], { signal: probe.signal });
  } catch (error) {
    probe.signal.throwIfAborted();
    return { guarantee, observed: messageOf(error), fix: NO_RETENTION };
  }
  if ((await read(probe, name)) !== undefined)
    return { guarantee, observed: 'it is still there', fix: NO_RETENTION };
  if (await refused(probe, name, 'two', 'absent'))
    return { guarantee, observed: 'it could not be created again', fix: NO_RETENTION };
  return undefined;
}

async function put(probe: Probe, name: string, text: string, onlyIf: PutCondition): Promise<string> {
  return await probe.store.put(name, once(text), { signal: probe.signal, onlyIf });
}

/**
 * Puts an object, and reports whether the condition was refused. A request that met another one is
 * repeated, as the protocol does.
 */
async function refused(probe: Probe, name: string, text: string, onlyIf: PutCondition): Promise<boolean> {
  for (let attempt = 0; attempt < MAX_CONFLICTS; attempt++)
    try {
      await put(probe, name, text, onlyIf);
      return false;
    } catch (error) {
      if (!(error instanceof PreconditionError)) throw error;
      if (error.reason !== 'conflict') return true;
    }
  return true;
}

async function read({ store, signal }: Probe, name: string): Promise<string | undefined> {
  try {
    return Buffer.concat(await Array.fromAsync(store.get(name, { signal }))).toString();
  } catch (error) {
    if (error instanceof MissingObjectError) return undefined;
    throw error;
  }
}

async function* once(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}
