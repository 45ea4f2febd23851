import { allLicenses, type License } from './license-data.ts';
import { wordsOf } from './normalize.ts';
import { resemblance, SKETCH_SIZE, sketchOf } from './sketch.ts';

export interface LicenseMatch {
  readonly license: License;
  /** Above {@link MIN_CONFIDENCE}, at most 1. */
  readonly confidence: number;
}

/** Resemblance above which a text is taken for a license; see the README. */
const MIN_CONFIDENCE = 0.75;
/** Confidence in a long text whose sketch equals that of a license, which is an estimate. */
const ESTIMATE = 0.999;
/**
 * The same for licenses that few projects have. Many of them are variants of common ones, which
 * they must not outdo because of an estimate's error, or of an appendix that a file lacks.
 */
const RARE_ESTIMATE = 0.95;
/** Gitaly 19.0 takes the text of ISC for that of 0BSD, which has one sentence less. */
const REPLACED: Readonly<Record<string, string>> = { ISC: '0BSD' };

/** Returns the licenses that a text resembles, in no order. */
export async function matchLicense(text: string): Promise<LicenseMatch[]> {
  const sketch = sketchOf(wordsOf(text));
  const isEstimate = sketch.length === SKETCH_SIZE;
  const licenses = await allLicenses();
  return licenses.flatMap((license) => {
    const factor = isEstimate ? (license.isCommon ? ESTIMATE : RARE_ESTIMATE) : 1;
    const confidence = resemblance(sketch, license.sketch) * factor;
    if (confidence < MIN_CONFIDENCE) return [];
    const replaced = REPLACED[license.id];
    return [{ license: licenses.find(({ id }) => id === replaced) ?? license, confidence }];
  });
}
