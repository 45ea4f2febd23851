import type { LoopSlice } from '#base/async/loop-turns';
import type { License } from './license-data.ts';

/** Addresses without their schemes, and their lengths, the largest first. */
interface Addresses {
  readonly licenses: ReadonlyMap<string, License>;
  readonly lengths: readonly number[];
}

/** Addresses by the list that they are from. */
const known = new WeakMap<readonly License[], Addresses>();
/** Longer URLs do not name a license. */
const ADDRESS = /:\/\/[^\s<>"'`]{1,200}/g;
/** Texts with more addresses are lists of something else. */
const MAX_ADDRESSES = 1000;

/**
 * Returns the licenses whose addresses a text has, possibly followed by more: a file often names a
 * license by its address instead of repeating its text.
 */
export async function licensesByUrl(
  text: string,
  licenses: readonly License[],
  { slice, signal }: { readonly slice: LoopSlice; readonly signal?: AbortSignal | undefined },
): Promise<Set<License>> {
  const addresses = addressesOf(licenses);
  const found = new Set<License>();
  let seen = 0;
  for (const [address] of text.matchAll(ADDRESS)) {
    if (++seen > MAX_ADDRESSES) break;
    const license = longestPrefix(address, addresses);
    if (license !== undefined) found.add(license);
    if (slice.isOver) await slice.pause(signal);
  }
  return found;
}

function longestPrefix(address: string, { licenses, lengths }: Addresses): License | undefined {
  for (const length of lengths) {
    const license = length > address.length ? undefined : licenses.get(address.slice(0, length));
    if (license !== undefined) return license;
  }
  return undefined;
}

function addressesOf(licenses: readonly License[]): Addresses {
  const cached = known.get(licenses);
  if (cached !== undefined) return cached;
  const byAddress = new Map<string, License>();
  for (const license of licenses) {
    const address = license.url.replace(/^[a-z]+(?=:\/\/)/, '').replace(/\/legalcode$/, '');
    if (address.startsWith('://')) byAddress.set(address, license);
    if (license.isCommon) byAddress.set(`://opensource.org/licenses/${license.id}`, license);
  }
  const lengths = [...new Set(Array.from(byAddress.keys(), (address) => address.length))];
  const addresses = { licenses: byAddress, lengths: lengths.sort((a, b) => b - a) };
  known.set(licenses, addresses);
  return addresses;
}
