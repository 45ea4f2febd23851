import { GIVEN_UP } from '#generations/codec/small-records';
import { ProtocolError } from '#generations/errors';
import { unpin } from '#generations/forks';
import { nameOfKey, repositoryKeys } from '#generations/keys';
import { type ArchiveBucket, chainOf } from '../bucket/archive-bucket.ts';
import { borrowedIds } from '../capture/capture-settings.ts';

/**
 * Notes that the chain of a path cannot be read, and is replaced by another one; or that a chain
 * has no name.
 *
 * @param path the one that it has or would have; empty if that is not known.
 */
export async function noteGivenUp(bucket: ArchiveBucket, id: string, path: string): Promise<void> {
  const chain = chainOf(bucket, id);
  await chain.store(chain.options.keys.givenUp, GIVEN_UP.seal({ path }));
}

async function isGivenUp({ environment }: ArchiveBucket, id: string): Promise<boolean> {
  return (await environment.bucket.get(repositoryKeys(id).givenUp)) !== undefined;
}

/** Reads a chain. @returns `undefined` for one that cannot be read, and was given up. */
export async function unlessGivenUp<T>(
  bucket: ArchiveBucket,
  id: string,
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    const isDamaged = error instanceof ProtocolError && error.problem === 'damaged';
    if (!isDamaged || !(await isGivenUp(bucket, id))) throw error;
    return undefined;
  }
}

/**
 * Reports whether the last state of another repository borrows from a chain that was given up. Its
 * next verification makes it complete.
 */
async function isBorrowedFrom(bucket: ArchiveBucket, id: string): Promise<boolean> {
  const source = chainOf(bucket, id);
  for await (const page of bucket.environment.bucket.list(source.options.keys.pins))
    for (const { key } of page) {
      const fork = decodeURIComponent(nameOfKey(key));
      const followed = await unlessGivenUp(bucket, fork, () => chainOf(bucket, fork).follow());
      if (followed !== undefined && borrowedIds(followed.state).includes(id)) return true;
      await unpin(source, fork);
    }
  return false;
}

/**
 * Deletes all of a chain that was given up before the grace of the collector, unless another
 * repository borrows from it. A reader never finds an earlier state as its head meanwhile: that
 * from which it starts is deleted first, and the floor last. The note stays until all else is gone.
 *
 * @param nowMs a time that the bucket's clock has passed.
 * @returns whether it was deleted.
 */
export async function deleteGivenUp(bucket: ArchiveBucket, id: string, nowMs: number): Promise<boolean> {
  const { keys } = chainOf(bucket, id).options;
  const objects = bucket.environment.bucket;
  const note = await objects.get(keys.givenUp);
  if (note === undefined || nowMs - note.modifiedMs < bucket.times.graceMs) return false;
  const { path } = GIVEN_UP.open(note.content);
  const isNamed = path !== '' && (await bucket.paths.resolve(path)) === id;
  if (isNamed || (await isBorrowedFrom(bucket, id))) return false;
  const [first, others]: [string[], string[]] = [[keys.generation(1)], []];
  for await (const page of objects.list(keys.root))
    for (const { key } of page) {
      if ([keys.floor, keys.givenUp, keys.generation(1)].includes(key)) continue;
      (key.startsWith(keys.checkpoints) ? first : others).push(key);
    }
  for (const some of [first, others, [keys.floor], [keys.givenUp]])
    if (some.length > 0) await objects.delete(some);
  return true;
}
