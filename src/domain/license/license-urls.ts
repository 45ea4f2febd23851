import type { License } from './license-data.ts';

/** Addresses without their schemes, by the list that they are from. */
const known = new WeakMap<readonly License[], ReadonlyMap<string, License>>();
/** Longer ones are none of a license. */
const ADDRESS = /:\/\/[^\s<>"'`]{1,200}/g;
/** Length of `://a.b/`, below which nothing is an address. */
const MIN_LENGTH = 7;
/** Texts with more addresses are lists of something else. */
const MAX_ADDRESSES = 1000;

/**
 * Returns the licenses whose addresses a text has, possibly followed by more: a file often names a
 * license by its address instead of repeating its text.
 */
export function licensesByUrl(text: string, licenses: readonly License[]): Set<License> {
  const addresses = addressesOf(licenses);
  const found = new Set<License>();
  let seen = 0;
  for (const [address] of text.matchAll(ADDRESS)) {
    if (++seen > MAX_ADDRESSES) break;
    const license = longestPrefix(address, addresses);
    if (license !== undefined) found.add(license);
  }
  return found;
}

function longestPrefix(address: string, addresses: ReadonlyMap<string, License>): License | undefined {
  for (let end = address.length; end > MIN_LENGTH; end--) {
    const license = addresses.get(address.slice(0, end));
    if (license !== undefined) return license;
  }
  return undefined;
}

function addressesOf(licenses: readonly License[]): ReadonlyMap<string, License> {
  const cached = known.get(licenses);
  if (cached !== undefined) return cached;
  const addresses = new Map<string, License>();
  for (const license of licenses) {
    const address = license.url.replace(/^[a-z]+(?=:\/\/)/, '').replace(/\/legalcode$/, '');
    if (address.startsWith('://')) addresses.set(address, license);
    if (license.isCommon) addresses.set(`://opensource.org/licenses/${license.id}`, license);
  }
  known.set(licenses, addresses);
  return addresses;
}
