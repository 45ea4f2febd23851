import { existsSync } from 'node:fs';
import { missingGuarantee, sentenceOf } from '#generations/open-bucket';
import { systemRandom } from '#generations/system-environment';
import { localDirectoryOf, openStore } from '#object-store/open-store';
import { checkBucket } from './check-buckets.ts';
import { type Finding, failure, ok } from './finding.ts';

/** Reports whether the target of doctor is the URL of a bucket. */
export function isBucketUrl(target: string): boolean {
  return /^(?:azblob|file|gs|s3):\/\//.test(target);
}

/**
 * Checks a bucket: that it can be used for backups, and that it gives the guarantees that
 * repositories in a bucket need.
 */
export async function* diagnoseBucket(url: string): AsyncGenerator<Finding, void, undefined> {
  const subject = 'bucket';
  const finding = await checkBucket(subject, url);
  yield finding;
  const directory = localDirectoryOf(url);
  if (finding.level !== 'ok' || (directory !== undefined && !existsSync(directory.path))) return;
  const store = await openStore(url);
  const { signal } = new AbortController();
  const missing = await missingGuarantee(url, store, { random: systemRandom, signal });
  if (missing === undefined) yield ok('guarantees', 'the bucket can hold repositories');
  else yield failure('guarantees', sentenceOf({ ...missing, fix: '' }).trim(), missing.fix);
}
