import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathKey } from '#generations/keys';
import { StoreBucket } from '#generations/store-bucket';
import { systemClock, systemRandom } from '#generations/system-environment';
import { openStore } from '#object-store/open-store';
import { archivedPaths } from './archived-paths.ts';

const { signal } = new AbortController();

async function* nothing(): AsyncGenerator<Buffer> {}

// Born failing: one object of another program ended the restore of a whole storage.
test('objects of other programs are no paths', async () => {
  const store = await openStore('mem://');
  const bucket = new StoreBucket(store, { signal });
  for (const key of ['path/100%/1', 'path/README', pathKey('a/b.git', 1), pathKey('a/b.git', 2)])
    await store.put(key, nothing(), { signal });

  const paths = archivedPaths({ environment: { bucket, clock: systemClock(signal), random: systemRandom } });

  assert.deepEqual(await Array.fromAsync(paths), ['a/b.git']);
});
