import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { until } from '#testkit/until';
import {
  arrangeStreamCache,
  CHUNK,
  content,
  destination,
  isComplete,
  KEY,
  readAll,
  Source,
  signal,
} from '#testkit/values/stream-cache';
import { SMALL_BYTES, WINDOW_BYTES } from './shared-stream.ts';
import type { Produce } from './stream-cache.ts';

for (const chunks of [0, 1, 3, 100]) {
  test(`${chunks} chunks are produced once and read again`, async (context) => {
    const { cache, files, usage } = arrangeStreamCache(context);
    const expected = content(chunks);
    const source = new Source(expected);
    source.allow();

    const first = await readAll(cache.open(KEY, source.produce, isComplete));
    await until(() => usage.bytes === (chunks * CHUNK > SMALL_BYTES ? chunks * CHUNK : 0));
    const second = cache.open(KEY, source.produce, isComplete);

    assert.equal(second.isHit, true);
    assert.ok((await readAll(second)).equals(Buffer.concat(expected)));
    assert.ok(first.equals(Buffer.concat(expected)));
    assert.equal(source.starts, 1);
    assert.equal(files().length, chunks * CHUNK > SMALL_BYTES ? 1 : 0);
  });
}

for (const maxAgeMs of [0, 60_000]) {
  test(`readers that come while a stream is produced share it (age ${maxAgeMs})`, async (context) => {
    const { cache, files, usage } = arrangeStreamCache(context, { maxAgeMs });
    const expected = content(200);
    const source = new Source(expected);
    source.allow(3);

    const opened = [1, 2, 3].map(() => cache.open(KEY, source.produce, isComplete));
    const slow = destination();
    slow.hold();
    const slowBytes = readAll(cache.open(KEY, source.produce, isComplete), slow);
    await until(() => source.written === 3);
    const late = cache.open(KEY, source.produce, isComplete);
    source.allow();
    const results = await Promise.all([...opened, late].map((each) => readAll(each)));
    slow.release();
    results.push(await slowBytes);

    assert.deepEqual(
      [...opened, late].map(({ isHit }) => isHit),
      [false, true, true, true],
    );
    assert.equal(source.starts, 1);
    for (const bytes of results) assert.ok(bytes.equals(Buffer.concat(expected)));
    await until(() => usage.bytes === (maxAgeMs === 0 ? 0 : 200 * CHUNK));
    await until(() => files().length === (maxAgeMs === 0 ? 0 : 1));
    await until(() => usage.entries === (maxAgeMs === 0 ? 0 : 1));
  });
}

test('many readers of a stream get its bytes in several turns of the event loop', async (context) => {
  const { cache } = arrangeStreamCache(context, { maxAgeMs: 0 });
  const source = new Source(content(4));
  const opened = Array.from({ length: 64 }, () => cache.open(KEY, source.produce, isComplete));
  const bytesOfTurns: number[] = [0];
  const stream = () =>
    new Writable({
      write({ length }: Buffer, _encoding, done) {
        bytesOfTurns.push((bytesOfTurns.pop() ?? 0) + length);
        done();
      },
    });
  const reading = Promise.all(
    opened.map(({ reader }) => reader.copyTo(stream(), { isDirect: true, signal })),
  );
  let isOver = false;
  void reading.finally(() => {
    isOver = true;
  });

  source.allow();
  while (!isOver) {
    await turn();
    bytesOfTurns.push(0);
  }

  await reading;
  assert.equal(
    bytesOfTurns.reduce((sum, bytes) => sum + bytes),
    64 * 4 * CHUNK,
  );
  assert.ok(Math.max(...bytesOfTurns) <= 2 << 20, `${bytesOfTurns}`);
});

test('a sole reader whose stream is not kept needs no file, and holds its producer back', async (context) => {
  const { cache, files, usage } = arrangeStreamCache(context, { maxAgeMs: 0 });
  const source = new Source(content(100));
  source.allow();
  const slow = destination();
  slow.hold();

  const reading = readAll(cache.open(KEY, source.produce, isComplete), slow);
  await until(() => (source.written + 1) * CHUNK > WINDOW_BYTES);
  for (let turns = 0; turns < 20; turns++) await turn();

  assert.ok(source.written * CHUNK <= WINDOW_BYTES + 2 * CHUNK);
  assert.equal(usage.bytes, 0);
  slow.release();
  assert.ok((await reading).equals(Buffer.concat(content(100))));
  assert.deepEqual(files(), []);
});

test('a stream that has moved on is not joined', async (context) => {
  const { cache } = arrangeStreamCache(context, { maxAgeMs: 0 });
  const source = new Source(content(100));
  source.allow(60);

  const first = readAll(cache.open(KEY, source.produce, isComplete));
  await until(() => source.written === 60);
  const second = cache.open(KEY, source.produce, isComplete);
  source.allow();
  const both = await Promise.all([first, readAll(second)]);

  assert.equal(second.isHit, false);
  assert.equal(source.starts, 2);
  for (const bytes of both) assert.ok(bytes.equals(Buffer.concat(content(100))));
});

test('a producer goes on without its slow reader when others wait', async (context) => {
  const state = { isContended: false };
  const { cache } = arrangeStreamCache(context, { maxAgeMs: 0, isContended: () => state.isContended });
  const source = new Source(content(200));
  source.allow();
  const slow = destination();
  slow.hold();
  const reading = readAll(cache.open(KEY, source.produce, isComplete), slow);
  await until(() => source.written * CHUNK >= WINDOW_BYTES);

  state.isContended = true;
  cache.relieve();

  await until(() => source.written === 200, 'the producer ends');
  slow.release();
  assert.ok((await reading).equals(Buffer.concat(content(200))));
});

test('readers get all bytes, then the error of a failing producer', async (context) => {
  const { cache, files, usage } = arrangeStreamCache(context);
  const source = new Source(content(30));
  source.failure = new Error('broken');
  source.allow();
  const targets = [destination(), destination()];

  const copies = targets.map(async ({ stream }) => {
    using reader = cache.open(KEY, source.produce, isComplete).reader;
    await reader.copyTo(stream, { isDirect: true, signal });
  });
  for (const copy of copies) await assert.rejects(copy, /^Error: broken$/);

  for (const target of targets) assert.ok(target.bytes().equals(Buffer.concat(content(30))));
  await until(() => usage.bytes === 0 && usage.entries === 0 && files().length === 0);
  source.failure = undefined;
  const again = cache.open(KEY, source.produce, isComplete);
  assert.equal(again.isHit, false);
  assert.ok((await readAll(again)).equals(Buffer.concat(content(30))));
});

test('a result that is not complete is passed on and not kept', async (context) => {
  const { cache, usage } = arrangeStreamCache(context);
  const source = new Source(content(30));
  source.allow();

  await readAll(cache.open(KEY, source.produce, () => false));
  await until(() => usage.entries === 0);

  const next = cache.open(KEY, source.produce, isComplete);
  assert.equal(next.isHit, false);
  next.reader[Symbol.dispose]();
});

test('a reader that leaves changes nothing for others; the last one ends the producer', async (context) => {
  const { cache } = arrangeStreamCache(context, { maxAgeMs: 0 });
  const source = new Source(content(100));
  const [first, second, third] = [1, 2, 3].map(() => cache.open(KEY, source.produce, isComplete));
  source.allow(2);
  await until(() => source.written === 2);

  first?.reader[Symbol.dispose]();
  second?.reader[Symbol.dispose]();
  assert.equal(source.abortReason, undefined);
  third?.reader[Symbol.dispose]();

  assert.match(String(source.abortReason), /context canceled/);
  const other = new Source(content(1));
  other.allow();
  const next = cache.open(KEY, other.produce, isComplete);
  assert.equal(next.isHit, false);
  assert.ok((await readAll(next)).equals(Buffer.concat(content(1))));
});

test('a stream that is to be kept is completed without its requester', async (context) => {
  const { cache, usage } = arrangeStreamCache(context);
  const source = new Source(content(100));
  source.allow(2);
  const { reader } = cache.open(KEY, source.produce, isComplete);
  await until(() => source.written === 2);

  reader[Symbol.dispose]();
  source.allow();

  await until(() => usage.bytes === 100 * CHUNK);
  const next = cache.open(KEY, source.produce, isComplete);
  assert.equal(next.isHit, true);
  assert.ok((await readAll(next)).equals(Buffer.concat(content(100))));
});

test('an aborted reader ends at once', async (context) => {
  const { cache } = arrangeStreamCache(context);
  const source = new Source(content(1));
  const abort = new AbortController();
  using reader = cache.open(KEY, source.produce, isComplete).reader;
  const reading = reader.copyTo(destination().stream, { isDirect: true, signal: abort.signal });

  abort.abort(new Error('left'));

  await assert.rejects(reading, /left/);
});

test('only keys that were requested often enough are kept', async (context) => {
  const { cache } = arrangeStreamCache(context, { minOccurrences: 1 });
  const source = new Source(content(1));
  source.allow();
  const hits: boolean[] = [];
  for (let time = 0; time < 4; time++) {
    const opened = cache.open(KEY, source.produce, isComplete);
    hits.push(opened.isHit);
    await readAll(opened);
    for (let turns = 0; turns < 5; turns++) await turn();
  }

  assert.deepEqual(hits, [false, false, true, true]);
});

test('a reader that stands still is left behind when it holds up others', async (context) => {
  const { cache } = arrangeStreamCache(context, { maxBytes: 0, stallMs: 50 });
  const source = new Source(content(200));
  source.allow();
  const stuck = destination();
  stuck.hold();
  const fast = readAll(cache.open(KEY, source.produce, isComplete));
  using reader = cache.open(KEY, source.produce, isComplete).reader;
  const stuckCopy = reader.copyTo(stuck.stream, { isDirect: true, signal });

  assert.ok((await fast).equals(Buffer.concat(content(200))));
  stuck.release();
  await assert.rejects(stuckCopy, { code: 'RESOURCE_EXHAUSTED', message: 'the client reads too slowly' });
});

test('chunks that readers keep are not overwritten', async (context) => {
  const { cache } = arrangeStreamCache(context, { maxAgeMs: 0 });
  const recycled: Buffer[] = [];
  const expected = content(100);
  const produce: Produce<string> = async (writer) => {
    for (const chunk of expected) {
      const bytes = recycled.pop() ?? Buffer.alloc(CHUNK);
      chunk.copy(bytes);
      await writer.write(bytes, (free) => recycled.push(free));
    }
    return 'result';
  };
  const kept: Buffer[] = [];
  const opened = cache.open(KEY, produce, isComplete);
  const other = readAll(cache.open(KEY, produce, isComplete));

  for await (const chunk of opened.reader.chunks(signal)) kept.push(chunk);

  assert.ok(Buffer.concat(kept).equals(Buffer.concat(expected)));
  assert.ok((await other).equals(Buffer.concat(expected)));
});

test('a stopping cache ends its producers', async (context) => {
  const { cache, files } = arrangeStreamCache(context);
  const source = new Source(content(100));
  source.allow(10);
  using reader = cache.open(KEY, source.produce, isComplete).reader;
  const reading = assert.rejects(
    reader.copyTo(destination().stream, { isDirect: true, signal }),
    /the server stops/,
  );
  await until(() => source.written === 10);

  await cache[Symbol.asyncDispose]();

  await reading;
  reader[Symbol.dispose]();
  await until(() => files().length === 0);
});

test('a stream can be joined until its first bytes are dropped, and then no byte stays', async (context) => {
  const { cache } = arrangeStreamCache(context, { maxAgeMs: 0 });
  const inWindow = WINDOW_BYTES / CHUNK;
  let recycled = 0;
  let goOn = (): void => {};
  const produce: Produce<string> = async (writer) => {
    for (const [index, bytes] of content(inWindow + 2).entries()) {
      if (index >= inWindow) await new Promise<void>((resolve) => (goOn = resolve));
      await writer.write(bytes, () => void recycled++);
    }
    return 'result';
  };
  const { reader, stream } = cache.open(KEY, produce, isComplete);
  const reading = reader.copyTo(destination().stream, { isDirect: true, signal });
  const readUpTo = async (chunks: number): Promise<void> => {
    await until(() => stream.bytes === chunks * CHUNK && reader.bytes === stream.bytes);
    for (let turns = 0; turns < 5; turns++) await turn();
  };

  await readUpTo(inWindow);
  assert.deepEqual([cache.has(KEY), recycled], [true, 0]);
  goOn();
  await readUpTo(inWindow + 1);
  assert.equal(cache.has(KEY), false);
  goOn();
  await readUpTo(inWindow + 2);

  assert.equal(await reading, 'result');
  assert.equal(recycled, inWindow + 2);
  reader[Symbol.dispose]();
});

test('streams in memory give way to newer ones above 32 MiB, the oldest first', async (context) => {
  const { cache } = arrangeStreamCache(context, { smallBytes: WINDOW_BYTES });
  const produced = async (key: string, bytes: number, keep: boolean): Promise<void> => {
    const opened = cache.open(
      key,
      async (writer) => {
        await writer.write(Buffer.alloc(bytes));
        return 'result';
      },
      () => keep,
    );
    await readAll(opened);
    for (let turns = 0; turns < 3; turns++) await turn();
  };

  await produced('incomplete', 1, false);
  for (let number = 0; number < 16; number++) await produced(`${number}`, WINDOW_BYTES, true);
  assert.equal(cache.size, 16);
  await produced('one more byte', 1, true);

  assert.deepEqual([cache.has('0'), cache.has('1'), cache.has('one more byte')], [false, true, true]);
  await produced('as many again', WINDOW_BYTES - 1, true);
  assert.equal(cache.has('1'), true);
});

test('streams give way to newer ones above their limit, the oldest that ended first', async (context) => {
  const { cache } = arrangeStreamCache(context, { maxEntries: 3 });
  using _running = cache.open('running', new Source(content(1)).produce, isComplete).reader;
  for (const key of ['a', 'b', 'c']) await readAll(cache.open(key, async () => 'result', isComplete));

  await until(() => cache.size === 3);

  assert.deepEqual(
    ['running', 'a', 'b', 'c'].map((key) => cache.has(key)),
    [true, false, true, true],
  );
});

test('streams are forgotten at their age without a request', async (context) => {
  const { cache } = arrangeStreamCache(context, { maxAgeMs: 20 });
  await readAll(cache.open(KEY, async () => 'result', isComplete));

  await until(() => cache.size === 0);
});

test('a stopping cache calls what waits for its end, once', async (context) => {
  const { cache } = arrangeStreamCache(context);
  const calls: string[] = [];
  for (const name of ['a', 'b']) cache.onDispose(() => void calls.push(name));

  await cache[Symbol.asyncDispose]();
  await cache[Symbol.asyncDispose]();

  assert.deepEqual(calls, ['a', 'b']);
});

test('a producer that waits for its reader ends when the reader leaves', async (context) => {
  const { cache } = arrangeStreamCache(context, { maxAgeMs: 0 });
  const ended = Promise.withResolvers<unknown>();
  const produce: Produce<string> = async (writer) => {
    try {
      for (;;) await writer.write(Buffer.alloc(CHUNK));
    } catch (error) {
      ended.resolve(error);
      throw error;
    }
  };
  const { reader, stream } = cache.open(KEY, produce, isComplete);
  await until(() => stream.bytes > WINDOW_BYTES);

  reader[Symbol.dispose]();

  assert.match(String(await ended.promise), /context canceled/);
});
