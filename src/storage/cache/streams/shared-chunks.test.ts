import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { arrangeStreamCache, isComplete, KEY, signal } from '#testkit/values/stream-cache';
import { sharedChunks } from './shared-chunks.ts';
import type { Produce, StreamCache } from './stream-cache.ts';

type Streams = Pick<StreamCache<void>, 'open'>;

/** Returns a cache of streams without results. */
function arrange(context: TestContext, maxAgeMs = 0): Streams {
  const { cache } = arrangeStreamCache(context, { maxAgeMs });
  return cache as unknown as StreamCache<void>; // nobody checks the results
}

/** Returns streams of others under the key, which fail one after the other. */
function failing(context: TestContext, { count, first = '' }: { count: number; first?: string }): Streams {
  const cache = arrange(context);
  let number = 0;
  return {
    open(key, produce, isWhole) {
      if (number < count) {
        const error = new Error(`broken ${++number}`);
        const { reader } = cache.open(
          key,
          async (writer) => {
            if (first !== '') await writer.write(Buffer.from(first));
            await new Promise((resolve) => setImmediate(resolve));
            throw error;
          },
          isComplete,
        );
        context.after(() => reader[Symbol.dispose]());
      }
      return cache.open(key, produce, isWhole);
    },
  };
}

/** Reads the stream of the key. Returns its text, which lookups found a stream, and the failure. */
async function read(streams: Streams, produce: Produce<void>, until = signal) {
  const hits: boolean[] = [];
  let text = '';
  const chunks = sharedChunks(streams, KEY, produce, {
    signal: until,
    onLookup: (isHit) => void hits.push(isHit),
  });
  try {
    for await (const { bytes, giveBack } of chunks) {
      text += bytes;
      giveBack();
    }
    return { text, hits, error: undefined };
  } catch (error) {
    return { text, hits, error: String(error) };
  }
}

const produce: Produce<void> = async (writer) => {
  await writer.write(Buffer.from('own'));
};

test('a stream of nobody else is produced, and its own failure is final', async (context) => {
  const streams = arrange(context);
  const broken: Produce<void> = () => Promise.reject(new Error('broken'));

  assert.deepEqual(await read(streams, produce), { text: 'own', hits: [false], error: undefined });
  assert.deepEqual(await read(streams, broken), { text: '', hits: [false], error: 'Error: broken' });
});

test('a stream that has ended is kept, as its end is all of it', async (context) => {
  const streams = arrange(context, 60_000);

  assert.deepEqual((await read(streams, produce)).hits, [false]);
  assert.deepEqual(await read(streams, produce), { text: 'own', hits: [true], error: undefined });
});

test('when that of somebody else fails before its first byte, two others are tried', async (context) => {
  const once = await read(failing(context, { count: 1 }), produce);
  const twice = await read(failing(context, { count: 2 }), produce);
  const thrice = await read(failing(context, { count: 3 }), produce);

  assert.deepEqual(once, { text: 'own', hits: [true, false], error: undefined });
  assert.deepEqual(twice, { text: 'own', hits: [true, true, false], error: undefined });
  assert.deepEqual(thrice, { text: '', hits: [true, true, true], error: 'Error: broken 3' });
});

test('when it fails later, that is final', async (context) => {
  const streams = failing(context, { count: 1, first: 'half' });

  assert.deepEqual(await read(streams, produce), { text: 'half', hits: [true], error: 'Error: broken 1' });
});

test('an aborted caller tries nothing more', async (context) => {
  const controller = new AbortController();
  const reading = read(failing(context, { count: 1 }), produce, controller.signal);
  controller.abort(new Error('left'));

  assert.deepEqual(await reading, { text: '', hits: [true], error: 'Error: left' });
});
