import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import type { Storage } from '../repository-target.ts';
import { cacheRoot } from '../storage-layout.ts';
import { cacheKey, openCached } from './disk-cache.ts';

const KEY = cacheKey(['1.0', 'method', 'generation']);

function tempStorage(context: TestContext): Storage {
  const directory = makeScratchDirectory('cache');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return { name: 'default', path: directory };
}

function filesIn(storage: Storage): string[] {
  return readdirSync(cacheRoot(storage), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
}

function producer(chunks: readonly Buffer[]): { produce: () => AsyncIterable<Buffer>; calls: number } {
  const state = {
    calls: 0,
    async *produce() {
      state.calls++;
      yield* chunks;
    },
  };
  return state;
}

async function buffer(content: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const MANY = Array.from({ length: 50 }, (_, index) => Buffer.alloc(10_000, index));

test('content is produced once and read from the cache after that', async (context) => {
  const storage = tempStorage(context);
  const source = producer(MANY);

  const first = await openCached(storage, KEY, source.produce);
  const produced = await buffer(first.content);
  const second = await openCached(storage, KEY, source.produce);
  const cached = await buffer(second.content);

  assert.deepEqual([first.hit, second.hit, source.calls], [false, true, 1]);
  assert.ok(produced.equals(Buffer.concat(MANY)) && cached.equals(produced));
  assert.equal(filesIn(storage).length, 1);
});

test('empty content is cached too', async (context) => {
  const storage = tempStorage(context);
  const source = producer([]);

  await buffer((await openCached(storage, KEY, source.produce)).content);
  const second = await openCached(storage, KEY, source.produce);

  assert.deepEqual([second.hit, (await buffer(second.content)).length], [true, 0]);
});

test('a failure in the middle reaches the reader and is not cached', async (context) => {
  const storage = tempStorage(context);
  const produce = async function* () {
    yield Buffer.from('half');
    throw new Error('git failed');
  };

  const { content } = await openCached(storage, KEY, produce);
  await assert.rejects(buffer(content), /git failed/);

  assert.deepEqual(filesIn(storage), []);
});

test('a reader that leaves early stops the production and nothing is cached', async (context) => {
  const storage = tempStorage(context);
  let stopped = false;
  const produce = async function* () {
    try {
      for (;;) yield Buffer.alloc(10_000);
    } finally {
      stopped = true;
    }
  };

  const { content } = await openCached(storage, KEY, produce);
  for await (const _ of content) break;

  assert.equal(stopped, true);
  assert.deepEqual(filesIn(storage), []);
});

test('a reader that leaves cached content early leaves no file open', async (context) => {
  const storage = tempStorage(context);
  const source = producer(MANY);
  await buffer((await openCached(storage, KEY, source.produce)).content);
  const open = readdirSync('/proc/self/fd').length;

  const { hit, content } = await openCached(storage, KEY, source.produce);
  for await (const chunk of content) {
    assert.ok(chunk.length < MANY.length * 10_000);
    break;
  }

  assert.ok(hit);
  assert.equal(readdirSync('/proc/self/fd').length, open);
});

test('two that produce the same at once both get it whole', async (context) => {
  const storage = tempStorage(context);
  const source = producer(MANY);

  const both = await Promise.all([
    openCached(storage, KEY, source.produce),
    openCached(storage, KEY, source.produce),
  ]);
  const contents = await Promise.all(both.map(({ content }) => buffer(content)));

  assert.ok(contents.every((content) => content.equals(Buffer.concat(MANY))));
  assert.equal(filesIn(storage).length, 1);
});

test('a cache that cannot be written does not bother the reader', async (context) => {
  const storage = tempStorage(context);
  mkdirSync(path.dirname(cacheRoot(storage)), { recursive: true });
  writeFileSync(cacheRoot(storage), 'a file in the way');
  const errors: unknown[] = [];
  const source = producer(MANY);

  const opened = await openCached(storage, KEY, source.produce, {
    onCacheError: (error) => errors.push(error),
  });

  assert.ok((await buffer(opened.content)).equals(Buffer.concat(MANY)));
  assert.equal(errors.length, 2); // once reading, once writing
});

test('keys of different lists of parts differ', () => {
  const keys = [['a', 'b'], ['ab'], ['a', '', 'b'], ['b', 'a'], [Buffer.from('a')]].map(cacheKey);

  assert.equal(new Set(keys).size, 5);
  assert.match(KEY, /^[0-9a-f]{64}$/);
});
