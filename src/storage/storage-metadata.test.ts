import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import type { Storage } from './repository-target.ts';
import { metadataPath } from './storage-layout.ts';
import { ensureStorageMetadata, readStorageMetadata } from './storage-metadata.ts';

function tempStorage(context: TestContext): Storage {
  const directory = makeScratchDirectory('metadata');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return { name: 'default', path: directory };
}

test('a storage gets an identity once, however many processes start on it', async (context) => {
  const storage = tempStorage(context);

  await Promise.all([
    ensureStorageMetadata(storage),
    ensureStorageMetadata(storage),
    ensureStorageMetadata(storage),
  ]);
  const metadata = await readStorageMetadata(storage);
  await ensureStorageMetadata(storage);

  assert.match(metadata?.gitalyFilesystemId ?? '', /^[0-9a-f-]{36}$/);
  assert.deepEqual(await readStorageMetadata(storage), metadata);
  assert.equal(
    readFileSync(metadataPath(storage), 'utf8'),
    `{"gitaly_filesystem_id":"${metadata?.gitalyFilesystemId}"}\n`,
  );
  assert.deepEqual(readdirSync(storage.path), ['.gitaly-metadata']);
});

for (const [what, text] of [
  ['damaged', '{'],
  ['of another shape', '[1]'],
  ['without an id', '{}'],
] as const) {
  test(`metadata that is ${what} is no identity and stays as it is`, async (context) => {
    const storage = tempStorage(context);
    writeFileSync(metadataPath(storage), text);

    await ensureStorageMetadata(storage);

    assert.equal(await readStorageMetadata(storage), undefined);
    assert.equal(readFileSync(metadataPath(storage), 'utf8'), text);
  });
}

test('a storage whose identity is missing, damaged or no file has none', async (context) => {
  const storage = tempStorage(context);
  assert.equal(await readStorageMetadata(storage), undefined);
  writeFileSync(metadataPath(storage), 'garbage');
  assert.equal(await readStorageMetadata(storage), undefined);
  rmSync(metadataPath(storage));
  mkdirSync(metadataPath(storage));
  assert.equal(await readStorageMetadata(storage), undefined);
});
