import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { MissingObjectError, writeUnlessEmpty } from './bucket.ts';
import { objectKey } from './object-key.ts';
import { openBucket, UnsupportedBucketError } from './open-bucket.ts';

const directory = makeScratchDirectory('bucket');
after(() => rmSync(directory, { recursive: true }));

async function* pieces(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

async function* failing(): AsyncGenerator<Buffer> {
  yield Buffer.from('begun');
  throw new Error('the source failed');
}

for (const url of [`file://${directory}/created?create_dir=true`, join(directory, 'plain'), 'mem://']) {
  test(`objects of ${url.replace(directory, '')} are stored, listed and replaced whole`, async () => {
    const bucket = await openBucket(url);
    const read = async (key: string) => Buffer.concat(await Array.fromAsync(bucket.read(key))).toString();
    const keys = async (prefix: string) =>
      (await Array.fromAsync(bucket.list(prefix))).map(({ key }) => key).sort();

    await bucket.write('a/b/one', pieces('o', 'ne'));
    await bucket.write('a/two', pieces('two'));
    await bucket.write('ab', pieces('not listed'));

    assert.equal(await read('a/b/one'), 'one');
    assert.deepEqual(await keys('a/'), ['a/b/one', 'a/two']);
    assert.deepEqual([await bucket.exists('a/two'), await bucket.exists('a/b')], [true, false]);
    await bucket.write('a/two', pieces('again'));
    assert.equal(await read('a/two'), 'again');
    await assert.rejects(bucket.write('a/two', failing()), { message: 'the source failed' });
    assert.equal(await read('a/two'), 'again');
    assert.deepEqual(await keys('a/'), ['a/b/one', 'a/two']);
    await assert.rejects(read('a/none'), MissingObjectError);
    assert.deepEqual(await keys('none/'), []);
  });

  test(`nothing is stored in ${url.replace(directory, '')} without bytes`, async () => {
    const bucket = await openBucket(url);

    assert.equal(await writeUnlessEmpty(bucket, 'empty', pieces('', '')), 0);
    assert.equal(await writeUnlessEmpty(bucket, 'full', pieces('', 'x', 'yz')), 3);

    assert.deepEqual([await bucket.exists('empty'), await bucket.exists('full')], [false, true]);
  });
}

test('a failed write leaves no file behind', async () => {
  const path = join(directory, 'failing');
  const bucket = await openBucket(path);

  await assert.rejects(bucket.write('key', failing()));

  assert.deepEqual(readdirSync(path), []);
});

test('directories that are missing and other kinds of buckets are refused with what to do', async () => {
  await assert.rejects(
    openBucket(`file://${directory}/none`),
    /does not exist: create it, or add \?create_dir/,
  );
  writeFileSync(join(directory, 'file'), '');
  await assert.rejects(openBucket(`file://${directory}/file`), /is not a directory/);
  for (const url of ['s3://bucket?region=x', 'gs://bucket', 'azblob://bucket'])
    await assert.rejects(openBucket(url), UnsupportedBucketError);
});

test('an address is signed with the secret, and ends', async () => {
  const path = join(directory, 'signed');
  mkdirSync(path);
  writeFileSync(join(directory, 'secret'), 'hush');
  const options = new URLSearchParams({
    base_url: 'https://bundles.example/get?x=1',
    secret_key_path: join(directory, 'secret'),
  });
  const bucket = await openBucket(`file://${path}?${options}`);

  const url = new URL(bucket.publicUrl?.('a b/c', 60_000) ?? '');

  const { signature, ...query } = Object.fromEntries(url.searchParams);
  assert.deepEqual(
    [url.origin + url.pathname, query.obj, query.method, query.x],
    ['https://bundles.example/get', 'a b/c', 'GET', '1'],
  );
  const left = Number(query.expiry) - Date.now() / 1000;
  assert.ok(left > 0 && left <= 60, `${left} s`);
  // Go signs the encoded query of these three, in alphabetical order.
  const signed = `expiry=${query.expiry}&method=GET&obj=a+b%2Fc`;
  const secret = readFileSync(join(directory, 'secret'));
  assert.equal(signature, createHmac('sha256', secret).update(signed).digest('base64url'));
});

test('keys are joined as paths and stay in the bucket', () => {
  assert.equal(objectKey('manifests', 'any', '../x.git', 'b.toml'), 'manifests/x.git/b.toml');
  assert.equal(objectKey('', '/x.git//', './b'), 'x.git/b');
  for (const parts of [['a', '../../x'], ['..'], [''], ['.'], ['a\0b'], ['a\nb'], ['a', '..']])
    assert.throws(() => objectKey(...parts), { code: 'INVALID_ARGUMENT' }, parts.join('/'));
});
