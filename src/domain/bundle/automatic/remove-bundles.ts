import type { ObjectStore } from '#object-store/object-store';

/** Names of the files in a repository's folder: its chain, the requested bundle, automatic ones. */
const OWN_NAME = /^(?:chain\.json|default\.bundle|\d{1,16}-[0-9a-f-]{36}\.bundle)$/;
const CHAIN = '/chain.json';

/**
 * Removes the bundles of a repository that is gone, the chain first: it must never name bundles
 * that are missing. Folders of other repositories below this one stay.
 */
export async function removeBundles(bucket: ObjectStore, folder: string, signal: AbortSignal): Promise<void> {
  const found: string[] = [];
  for await (const page of bucket.list(`${folder}/`, { signal }))
    for (const { key } of page) if (OWN_NAME.test(key.slice(folder.length + 1))) found.push(key);
  const { true: chain = [], false: bundles = [] } = Object.groupBy(found, (key) => `${key.endsWith(CHAIN)}`);
  if (chain.length > 0) await bucket.delete(chain, { signal });
  if (bundles.length > 0) await bucket.delete(bundles, { signal });
}
