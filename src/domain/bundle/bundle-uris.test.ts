import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import type { ObjectCall } from '#object-store/object-store';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { BundleUris } from './bundle-uris.ts';

const { signal } = new AbortController();
const OPTIONS = { storageName: 'default', signal };

/** A store whose objects have addresses. */
class AddressedStore extends MemoryObjectStore {
  heads = 0;

  override async signedUrl(key: string): Promise<string> {
    return `https://example.com/${key}`;
  }

  override async head(...args: Parameters<MemoryObjectStore['head']>) {
    this.heads++;
    return await super.head(...args);
  }
}

async function start(stack: AsyncDisposableStack, bucket: MemoryObjectStore) {
  const fixture = stack.use(await StorageFixture.create());
  const repository = fixture.init('x.git', { commits: 1 });
  const options = { maxAgeMs: 1000, observe: () => {}, onError: () => {}, onLeftover: () => {} };
  const bundleUris = new BundleUris(bucket, options);
  stack.use(bundleUris.automatic);
  return { repository, bundleUris };
}

test('a bucket without bundles is asked once in a while, and offers a requested one at once', async () => {
  await using stack = new AsyncDisposableStack();
  const bucket = new AddressedStore();
  const { repository, bundleUris } = await start(stack, bucket);

  for (let count = 0; count < 3; count++) assert.deepEqual(await bundleUris.offered(repository, OPTIONS), []);
  assert.equal(bucket.heads, 2, 'of the chain and of the requested bundle');
  await bundleUris.generate(repository, OPTIONS);

  const [offer] = await bundleUris.offered(repository, OPTIONS);
  assert.equal(offer?.url, 'https://example.com/default/x.git/uri/default.bundle');
  gitOutput(repository.path, ['config', 'uploadpack.hideRefs', 'refs/heads']);
  assert.deepEqual(await bundleUris.offered(repository, OPTIONS), [], 'the branch is hidden');
});

test('a bucket that does not answer delays one fetch, and not the next ones', async () => {
  await using stack = new AsyncDisposableStack();
  let asked = 0;
  class SilentStore extends AddressedStore {
    override async head(_key: string, { signal: ended }: ObjectCall): Promise<undefined> {
      asked++;
      await once(ended, 'abort');
      throw ended.reason;
    }
  }
  const { repository, bundleUris } = await start(stack, new SilentStore());

  await assert.rejects(bundleUris.offered(repository, OPTIONS), { name: 'TimeoutError' });

  assert.deepEqual(await bundleUris.offered(repository, OPTIONS), []);
  assert.equal(asked, 1);
});
