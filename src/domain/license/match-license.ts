import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LoopSlice } from '#base/async/loop-turns';
import { flag, object, optional, parseAs, text } from '#base/shape';
import { wordsOf } from './normalize.ts';
import { decodeSketch, resemblance, SKETCH_SIZE, type Sketch, Sketcher } from './sketch.ts';

export interface LicenseMatch {
  readonly license: License;
  /** Above {@link MIN_CONFIDENCE}, at most 1. */
  readonly confidence: number;
}

/** Resemblance above which a text is taken for a license; see the README. */
const MIN_CONFIDENCE = 0.75;
/** Confidence in a long text whose sketch equals that of a license: an estimate. */
const ESTIMATE = 0.999;
/**
 * The same for licenses that few projects have. Many of them are variants of common ones, which
 * they must not outdo because of an estimate's error, or of an appendix that a file lacks.
 */
const RARE_ESTIMATE = 0.93;
/** Gitaly 19.0 detects ISC as 0BSD, whose text has one sentence less. */
const REPLACED: Readonly<Record<string, string>> = { ISC: '0BSD' };

/** Confidence of an address, which leaves no doubt. */
const BY_URL = 1;
/**
 * The GPL in a form that has less in common with the text of "or later" than with that of "only":
 * version 2 without angle brackets around the words to fill in, version 3 as it was printed before
 * the addresses began with https.
 */
const ONLY: Readonly<Record<string, { readonly name: string; readonly isText: (text: string) => boolean }>> =
  {
    'GPL-2.0+': {
      name: 'GNU General Public License v2.0 only',
      isText: (text) => !/<\s*one line to give/.test(text),
    },
    'GPL-3.0+': {
      name: 'GNU General Public License v3.0 only',
      isText: (text) => text.includes('http://fsf.org/'),
    },
  };

/** Slice of a comparison, after which other work continues. */
export interface MatchOptions {
  readonly slice: LoopSlice;
  readonly signal?: AbortSignal | undefined;
}

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

/** Returns the licenses that a text resembles or names by their addresses, in no order. */
export async function matchLicense(text: string, options: MatchOptions): Promise<LicenseMatch[]> {
  const sketch = await sketchInTurns(text, options);
  const isEstimate = sketch.length === SKETCH_SIZE;
  const licenses = await allLicenses();
  const byUrl = await licensesByUrl(text, licenses, options);
  await options.slice.pause(options.signal);
  const matches = licenses.flatMap((license) => {
    const factor = isEstimate ? (license.isCommon ? ESTIMATE : RARE_ESTIMATE) : 1;
    const confidence = resemblance(sketch, license.sketch) * factor;
    if (confidence < MIN_CONFIDENCE) return [];
    const replaced = REPLACED[license.id];
    byUrl.delete(license);
    const isOnly = ONLY[license.id]?.isText(text) === true;
    const named = licenses.find(({ id }) => id === replaced) ?? license;
    return [{ license: isOnly ? only(named) : named, confidence }];
  });
  return [...matches, ...Array.from(byUrl, (license) => ({ license: only(license), confidence: BY_URL }))];
}

async function sketchInTurns(text: string, { slice, signal }: MatchOptions): Promise<Sketch> {
  const sketcher = new Sketcher();
  for (const word of wordsOf(text)) {
    sketcher.add(word);
    if (slice.isOverAfterItem()) await slice.pause(signal);
  }
  return sketcher.sketch();
}

/** The name of the GPL without "or later"; other licenses unchanged. */
function only(license: License): License {
  const name = ONLY[license.id]?.name;
  return name === undefined ? license : { ...license, id: license.id.replace(/\+$/, ''), name };
}

/**
 * Returns the licenses whose addresses a text has, possibly followed by more: a file often names a
 * license by its address instead of repeating its text.
 */
async function licensesByUrl(
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

/** A license of the SPDX list. */
interface License {
  /** SPDX identifier. */
  readonly id: string;
  readonly name: string;
  readonly url: string;
  /** True if the Open Source Initiative has approved it. */
  readonly isCommon: boolean;
  readonly sketch: Sketch;
}

/** A line of the file; the first one names its source. */
const record = object({
  id: optional(text),
  name: optional(text),
  url: optional(text),
  isCommon: optional(flag),
  sketch: optional(text),
});

let loading: Promise<readonly License[]> | undefined;

/** Returns all licenses. The first call reads them from a file, in some milliseconds. */
async function allLicenses(): Promise<readonly License[]> {
  loading ??= load();
  try {
    return await loading;
  } catch (error) {
    loading = undefined;
    throw error;
  }
}

async function load(): Promise<License[]> {
  const file = await readFile(join(import.meta.dirname, 'licenses.jsonl'), 'utf8');
  const lines = file.trimEnd().split('\n');
  const licenses: License[] = [];
  const slice = new LoopSlice();
  for (const line of lines) {
    // The file is generated by scripts/generate-licenses.ts.
    const { id, name = '', url = '', isCommon = false, sketch = '' } = parseAs(record, line) ?? {};
    if (id !== undefined) licenses.push({ id, name, url, isCommon, sketch: decodeSketch(sketch) });
    await slice.pause();
  }
  return licenses;
}
