import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { kernelLock } from '#object-store/file/lock-object';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { diagnoseBucket, isBucketUrl } from './check-generations.ts';

const directory = makeScratchDirectory('check-generations');
after(() => rmSync(directory, { recursive: true }));

const levelsOf = async (url: string) =>
  (await Array.fromAsync(diagnoseBucket(url))).map(({ subject, level }) => [subject, level]);

test('URLs of buckets are targets of doctor, paths and names are not', () => {
  for (const url of ['s3://b', 'gs://b?prefix=x/', 'azblob://c', 'file:///x'])
    assert.ok(isBucketUrl(url), url);
  for (const path of ['/etc/x.toml', 'data', 's3', 'http://x']) assert.ok(!isBucketUrl(path), path);
});

test('a bucket with all guarantees is ok, and no object is left in it', async (context) => {
  if (kernelLock() === undefined) return context.skip('there is no koffi');
  const path = join(directory, 'works');
  mkdirSync(path);

  assert.deepEqual(await levelsOf(`file://${path}`), [
    ['bucket', 'ok'],
    ['guarantees', 'ok'],
  ]);

  const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  assert.deepEqual(files, []);
});

test('a bucket that does not exist yet is not created, and one that cannot be used is an error', async () => {
  const path = join(directory, 'none');

  assert.deepEqual(await levelsOf(`file://${path}`), [['bucket', 'ok']]);
  assert.equal(existsSync(path), false);
  assert.deepEqual(await levelsOf(`file://${path}?create_dir=false`), [['bucket', 'error']]);
});
