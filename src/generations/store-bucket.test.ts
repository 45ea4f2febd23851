import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { abortable } from '#base/async/abortable';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import type { GetOptions, PutOptions } from '#object-store/object-store';
import { StoreBucket } from './store-bucket.ts';

const MIB = 2 ** 20;
const SECOND_MS = 1000;

/** A store behind a slow connection: of each MiB, and without contents, a request takes three seconds. */
class SlowStore extends MemoryObjectStore {
  override async put(key: string, pieces: AsyncIterable<Uint8Array>, options: PutOptions): Promise<string> {
    const content = Buffer.concat(await Array.fromAsync(pieces));
    await passed(durationMs(content.length), options.signal);
    return await super.put(key, piecesOf(content), options);
  }

  override async *get(key: string, options: GetOptions): AsyncGenerator<Buffer, void, undefined> {
    for await (const content of super.get(key, options))
      for await (const piece of piecesOf(content)) {
        await passed(durationMs(piece.length), options.signal);
        yield piece;
      }
  }
}

function durationMs(bytes: number): number {
  return 3 * SECOND_MS * Math.max(1, bytes / MIB);
}

/** Waits for a time of the mocked clock. */
async function passed(ms: number, signal: AbortSignal): Promise<void> {
  await abortable(new Promise((resolve) => setTimeout(resolve, ms)), signal);
}

async function* piecesOf(content: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += MIB) yield content.subarray(at, at + MIB);
}

/** Returns the result of a request, while the time passes quickly. */
async function result<T>({ mock }: TestContext, request: Promise<T>): Promise<T> {
  let isDone = false;
  const done = (): void => {
    isDone = true;
  };
  request.then(done, done);
  while (!isDone) {
    mock.timers.tick(SECOND_MS);
    await nextTurn();
  }
  return await request;
}

// The references of a large repository, or joined packs, never got through a slow connection.
test('a request has more time for large contents', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const bucket = new StoreBucket(new SlowStore(), { signal: new AbortController().signal });
  const content = Buffer.alloc(8 * MIB, 'x');

  assert.equal(await result(context, bucket.create('large', content)), 'created');
  const read = await result(context, bucket.get('large'));

  assert.ok(read?.content.equals(content));
});

test('a request without a response ends', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const store = new MemoryObjectStore();
  store.put = async (_key, _pieces, { signal }) => {
    await passed(3600 * SECOND_MS, signal);
    return '';
  };
  const bucket = new StoreBucket(store, { signal: new AbortController().signal });

  await assert.rejects(result(context, bucket.create('small', Buffer.from('x'))), { name: 'TimeoutError' });
});
