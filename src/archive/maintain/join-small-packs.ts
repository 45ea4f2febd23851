import type { Chain } from '#generations/chain/chain';
import type { ChainState } from '#generations/chain/chain-state';
import { nameOfKey } from '#generations/keys';
import type { PackChange } from '#generations/repository/maintenance';
import { type ArchiveBucket, readPack } from '../bucket/archive-bucket.ts';
import { joinPacks, type PackHash } from '../capture/joined-packs.ts';

/** Larger packs stay. */
const MAX_SMALL_BYTES = 4 * 1024 * 1024;
/** Packs that are joined at once, in memory. */
const MAX_TOTAL_BYTES = 32 * 1024 * 1024;

/** Joins the small packs of a repository to one with the same objects, without git. */
export async function joinSmallPacks(
  bucket: ArchiveBucket,
  chain: Chain,
  head: ChainState,
  hash: PackHash,
): Promise<PackChange> {
  const { keys } = chain.options;
  const small: string[] = [];
  let total = 0;
  for await (const page of bucket.store.list(keys.packs, { signal: bucket.signal }))
    for (const { key, sizeBytes } of page) {
      const name = nameOfKey(key);
      if (!head.packs.has(name) || !name.endsWith('.pack') || sizeBytes > MAX_SMALL_BYTES) continue;
      total += sizeBytes;
      if (total <= MAX_TOTAL_BYTES) small.push(name);
    }
  if (small.length < 2) return { add: [], remove: [] };
  const packs: Buffer[] = [];
  for (const name of small)
    packs.push(Buffer.concat(await Array.fromAsync(readPack(bucket, keys, name, bucket.signal))));
  return { add: [await chain.uploadPack(joinPacks(packs, hash))], remove: small };
}
