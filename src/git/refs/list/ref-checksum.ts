import { Sha1Xor } from '#base/sha1-xor';
import { mapAhead } from '#base/streams/map-ahead';
import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import type { ReadableRepository } from '#git/objects/readable-repository';
import type { RefReadOptions } from '../git/git-refs.ts';
import type { StoredRefs } from '../resolve/stored-refs.ts';

/** Objects that are looked up at once. */
const LOOK_UP_AHEAD = 256;

/**
 * Returns the exclusive or of the SHA-1 hashes of the lines that `git show-ref --head` prints and
 * that belong to the checksum, 20 bytes. For use inside an attempt.
 *
 * git fails at a reference without its object: HEAD's object is looked up, and those that the
 * storage names.
 *
 * @throws {FallBackToGit} when only git knows the lines.
 */
export async function refChecksum(
  repository: ReadableRepository,
  stored: StoredRefs,
  { signal }: RefReadOptions,
): Promise<Buffer> {
  const { words, oids } = await stored.requirePlain().sum();
  for await (const isThere of mapAhead([...oids], LOOK_UP_AHEAD, hasObject))
    if (!isThere) throw new FallBackToGit('an object is missing');
  const xor = new Sha1Xor();
  xor.addSum(words);
  return xor.digest();

  async function hasObject(oid: string): Promise<boolean> {
    return (await repository.objects.info(oid, { signal }).catch(fallBackOnFailure)) !== undefined;
  }
}
