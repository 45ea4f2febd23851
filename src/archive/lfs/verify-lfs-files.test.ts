import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { LfsObjects } from '#object-store/lfs-objects';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import { lfsFilesOf } from '../bucket/archive-bucket.ts';
import { LfsVerification } from './verify-lfs-files.ts';

const { signal } = new AbortController();

async function* bytes(): AsyncGenerator<Buffer> {
  yield Buffer.from('content');
}

// Symptom: the verification of all repositories ended with an error.
test('a file that is deleted after it was listed is no problem', async () => {
  const store = new MemoryObjectStore();
  const oid = createHash('sha256').update('content').digest('hex');
  await new LfsObjects(lfsFilesOf({ store }), ['own']).write(oid, bytes(), { sizeBytes: 7, signal });
  const list = store.list.bind(store);
  store.list = async function* (prefix, options) {
    for await (const page of list(prefix, options)) {
      await store.delete(
        page.map(({ key }) => key),
        options,
      );
      yield page;
    }
  };
  const verification = new LfsVerification({ bucket: { store }, lfs: undefined, signal });

  const found = await verification.verify(['own'], undefined);

  assert.deepEqual(found, { bytes: 0, problems: [], isRepaired: true });
});
