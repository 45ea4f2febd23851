import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { LEASE } from '#generations/codec/small-records';
import { leaseKey } from '#generations/keys';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { ARCHIVE_TIMES, openArchiveBucket } from './archive-bucket.ts';
import { WriterLease } from './writer-lease.ts';

const directory = makeScratchDirectory('writer-lease');
after(() => rmSync(directory, { recursive: true }));
const RENEWALS = 3;

test('the lease is renewed again and again until the end', async () => {
  const ended = new AbortController();
  const times = { ...ARCHIVE_TIMES, renewMs: 10 };
  const url = pathToFileURL(join(directory, 'bucket')).href;
  const bucket = await openArchiveBucket(url, { signal: ended.signal, times });
  const writer = new WriterLease(bucket, 'test');
  const counter = async (): Promise<number> => {
    const object = await bucket.direct.get(leaseKey(writer.lease.options.server));
    return object === undefined ? 0 : LEASE.open(object.content).counter;
  };
  let first = 0;
  const holding = writer.hold(() => {
    first++;
  });
  await until(() => first === 1);
  const taken = await counter();

  await until(async () => (await counter()) >= taken + RENEWALS);

  ended.abort(new Error('the test has ended'));
  await assert.rejects(holding);
});
