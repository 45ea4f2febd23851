import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { kernelLock, lockFileOf, lockObject } from './file/lock-object.ts';
import { objectKey } from './object-key.ts';
import { openStore } from './open-store.ts';
import { UnsupportedStoreError } from './store-error.ts';

const directory = makeScratchDirectory('open-store');
after(() => rmSync(directory, { recursive: true }));
const { signal } = new AbortController();

async function* pieces(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

async function* failing(): AsyncGenerator<Buffer> {
  yield Buffer.from('begun');
  throw new Error('the source failed');
}

test('objects are files with their keys as paths, and nothing else is left', async () => {
  const path = join(directory, 'files');
  const store = await openStore(path);
  const files = () => readdirSync(path, { recursive: true }).sort();

  await store.put('a/b', pieces('x'), { signal });
  const version = (await store.head('a/b', { signal }))?.version ?? '';
  await store.put('a/b', pieces('y'), { signal, onlyIf: { version } });
  await store.put('c', pieces('z'), { signal, onlyIf: 'absent' });
  await assert.rejects(store.put('c', failing(), { signal }));
  await assert.rejects(store.put('c', pieces('z'), { signal, onlyIf: 'absent' }));

  assert.deepEqual(files(), ['a', 'a/b', 'c']);
  assert.equal(readFileSync(join(path, 'a/b'), 'utf8'), 'y');
});

test('files of other programs are not listed; names that no object can have are reported', async () => {
  const path = join(directory, 'foreign');
  const store = await openStore(path);
  await store.put('key', pieces('x'), { signal });
  for (const name of ['.fileblob-1234', 'line\nfeed']) writeFileSync(join(path, name), '');

  const unusable: string[] = [];
  const onUnusable = (name: string) => unusable.push(name);

  const listed = (await Array.fromAsync(store.list('', { signal, onUnusable }))).flat();

  assert.deepEqual(
    listed.map(({ key }) => key),
    ['key'],
  );
  assert.deepEqual(unusable, ['line\nfeed']);
  await assert.rejects(store.put('.fileblob-1234', pieces('x'), { signal }), { code: 'INVALID_ARGUMENT' });
});

test('a lock that a killed process left does not last; a held one is respected until the abort', async () => {
  const path = join(directory, 'locked');
  const store = await openStore(path);
  await store.put('key', pieces('old'), { signal });
  const version = (await store.head('key', { signal }))?.version ?? '';
  const lock = lockFileOf(join(path, 'key'));
  writeFileSync(lock, '');
  const replace = (on: AbortSignal) => store.put('key', pieces('new'), { signal: on, onlyIf: { version } });

  // Without the kernel's locks, only the age of the file tells.
  if (kernelLock() === undefined) utimesSync(lock, 0, 0);
  const held = await lockObject(join(path, 'key'), signal);
  await assert.rejects(replace(AbortSignal.timeout(100)), { name: 'TimeoutError' });
  assert.equal(readFileSync(join(path, 'key'), 'utf8'), 'old');
  await held[Symbol.asyncDispose]();
  await replace(signal);

  assert.deepEqual(readdirSync(path), ['key']);
  assert.equal(readFileSync(join(path, 'key'), 'utf8'), 'new');
});

test('directories that are missing and other kinds of buckets are refused with what to do', async () => {
  await assert.rejects(
    openStore(`file://${directory}/none?create_dir=false`),
    /does not exist: create it, or remove create_dir=false/,
  );
  writeFileSync(join(directory, 'file'), '');
  await assert.rejects(openStore(`file://${directory}/file`), /is not a directory/);
  await assert.rejects(openStore('ftp://bucket'), UnsupportedStoreError);
});

test('an address is signed with the secret, and ends', async () => {
  const path = join(directory, 'signed');
  mkdirSync(path);
  writeFileSync(join(directory, 'secret'), 'hush');
  const options = new URLSearchParams({
    base_url: 'https://bundles.example/get?x=1',
    secret_key_path: join(directory, 'secret'),
  });
  const store = await openStore(`file://${path}?${options}`);

  const url = new URL((await store.signedUrl('a b/c', { validMs: 60_000, signal })) ?? '');

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

test('a prefix begins all keys of a store', async () => {
  const whole = await openStore(join(directory, 'whole'));
  const part = await openStore(`file://${directory}/whole?prefix=a/b/`);

  await part.put('c', pieces('x'), { signal });

  const listed = (await Array.fromAsync(whole.list('', { signal }))).flat();
  assert.deepEqual(
    listed.map(({ key }) => key),
    ['a/b/c'],
  );
  writeFileSync(join(directory, 'whole/a/b/line\nfeed'), '');
  const unusable: string[] = [];
  await Array.fromAsync(part.list('', { signal, onUnusable: (name) => unusable.push(name) }));
  assert.deepEqual(unusable, ['line\nfeed']);
  await assert.rejects(openStore('mem://?prefix=../'), { code: 'INVALID_ARGUMENT' });
});

test('keys are joined as paths and stay in the bucket', () => {
  assert.equal(objectKey('manifests', 'any', '../x.git', 'b.toml'), 'manifests/x.git/b.toml');
  assert.equal(objectKey('', '/x.git//', './b'), 'x.git/b');
  for (const parts of [['a', '../../x'], ['..'], [''], ['.'], ['a\0b'], ['a\nb'], ['a', '..']])
    assert.throws(() => objectKey(...parts), { code: 'INVALID_ARGUMENT' }, parts.join('/'));
});
