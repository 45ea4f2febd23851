import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import type { GetOptions, PutOptions } from '#object-store/object-store';
import { MissingObjectError, StoreError } from '#object-store/store-error';
import { probeBucket } from './probe.ts';

const { signal } = new AbortController();
type Put = Parameters<MemoryObjectStore['put']>;

/** A service that ignores the conditions of one kind. */
class UnconditionalStore extends MemoryObjectStore {
  readonly #ignored: 'absent' | 'version';

  constructor(ignored: 'absent' | 'version') {
    super();
    this.#ignored = ignored;
  }

  override async put(...[key, pieces, { onlyIf, ...options }]: Put): Promise<string> {
    const isIgnored = onlyIf !== undefined && (onlyIf === 'absent') === (this.#ignored === 'absent');
    const passed: PutOptions = isIgnored || onlyIf === undefined ? options : { ...options, onlyIf };
    return await super.put(key, pieces, passed);
  }
}

/**
 * A cache in front of a bucket, which keeps what was read first: contents, or that there were none.
 */
class CachedStore extends MemoryObjectStore {
  readonly #cache = new Map<string, readonly Buffer[] | undefined>();

  override async *get(key: string, options: GetOptions): AsyncGenerator<Buffer, void, undefined> {
    if (!this.#cache.has(key)) {
      const read = Array.fromAsync(super.get(key, options));
      const pieces = await read.catch(() => undefined);
      if (pieces !== undefined) this.#cache.set(key, pieces);
    }
    const cached = this.#cache.get(key);
    if (cached === undefined) throw new MissingObjectError();
    yield* cached;
  }
}

/** A bucket of S3 whose policy does not permit a list. */
class UnlistedStore extends MemoryObjectStore {
  override async *get(key: string, options: GetOptions): AsyncGenerator<Buffer, void, undefined> {
    if ((await this.head(key, options)) === undefined) throw failure('get', key, 'AccessDenied');
    yield* super.get(key, options);
  }
}

/** A bucket with a retention rule: an object cannot be deleted. */
class RetainedStore extends MemoryObjectStore {
  override async delete([key = '']: readonly string[]): Promise<void> {
    throw failure('delete', key, 'AccessDenied');
  }
}

/** A bucket whose deletions leave the object in place. */
class UndeletingStore extends MemoryObjectStore {
  override async delete(): Promise<void> {}
}

function failure(operation: string, key: string, code: string): StoreError {
  return new StoreError({ store: 's3 bucket "b"', operation, key, code, message: '', hint: undefined });
}

test('a bucket with all guarantees passes, and no object is left in it', async () => {
  const store = new MemoryObjectStore();

  assert.equal(await probeBucket(store, { nonce: 'n', signal }), undefined);

  assert.deepEqual(await Array.fromAsync(store.list('', { signal })), []);
});

for (const { name, store, guarantee, observed, fix } of [
  {
    name: 'ignores If-None-Match',
    store: new UnconditionalStore('absent'),
    guarantee: /created only if there is none/,
    observed: /ignores If-None-Match/,
    fix: /Use a service/,
  },
  {
    name: 'ignores If-Match',
    store: new UnconditionalStore('version'),
    guarantee: /replaced only if it has the version/,
    observed: /ignores If-Match/,
    fix: /Use a service/,
  },
  {
    name: 'is behind a cache',
    store: new CachedStore(),
    guarantee: /last write/,
    observed: /reads were older/,
    fix: /without a cache/,
  },
  {
    name: 'reports 403 for a missing object',
    store: new UnlistedStore(),
    guarantee: /missing object is reported as missing/,
    observed: /AccessDenied/,
    fix: /s3:ListBucket/,
  },
  {
    name: 'keeps objects by a retention rule',
    store: new RetainedStore(),
    guarantee: /deleted object is missing/,
    observed: /AccessDenied/,
    fix: /Remove retention/,
  },
  {
    name: 'does not delete',
    store: new UndeletingStore(),
    guarantee: /deleted object is missing/,
    observed: /still there/,
    fix: /Remove retention/,
  },
])
  test(`a bucket that ${name} is refused, with the guarantee that is missing`, async () => {
    const missing = await probeBucket(store, { nonce: 'n', signal });

    assert.match(missing?.guarantee ?? '', guarantee);
    assert.match(missing?.observed ?? '', observed);
    assert.match(missing?.fix ?? '', fix);
  });
