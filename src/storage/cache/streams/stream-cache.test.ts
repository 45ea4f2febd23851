import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { SMALL_BYTES, type StreamWriter, WINDOW_BYTES } from './shared-stream.ts';
import { type OpenedStream, type Produce, StreamCache, type StreamCacheOptions } from './stream-cache.ts';

const KEY = 'key';
const CHUNK = 64 * 1024;
const signal = new AbortController().signal;

function arrange(context: TestContext, options: Partial<StreamCacheOptions> = {}) {
  const directory = join(makeScratchDirectory('streams'), 'cache');
  const errors: unknown[] = [];
  const usage = { bytes: 0, entries: 0, removed: 0 };
  const cache = new StreamCache<string>({
    directory,
    makeDirectory: async () => void mkdirSync(directory, { recursive: true }),
    maxAgeMs: 60_000,
    minOccurrences: 0,
    hasBackpressure: false,
    maxBytes: 1 << 30,
    onError: (error) => errors.push(error),
    observer: {
      entries: (count) => {
        usage.entries = count;
      },
      diskUsage: (bytes) => {
        usage.bytes = bytes;
      },
      fileRemoved: () => {
        usage.removed++;
      },
    },
    ...options,
  });
  context.after(async () => {
    await cache[Symbol.asyncDispose]();
    rmSync(join(directory, '..'), { recursive: true, force: true });
  });
  const files = (): string[] =>
    existsSync(directory)
      ? readdirSync(directory, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name))
      : [];
  return { cache, directory, errors, usage, files };
}

/** Content that differs from chunk to chunk. */
function content(chunks: number): Buffer[] {
  return Array.from({ length: chunks }, (_, index) => Buffer.alloc(CHUNK, `${index} `));
}

/** A producer that waits before each chunk for as many steps as the test has allowed. */
class Source {
  readonly #chunks: readonly Buffer[];
  #allowed = 0;
  #waiting: (() => void)[] = [];
  starts = 0;
  written = 0;
  abortReason: unknown;
  failure: Error | undefined;

  constructor(chunks: readonly Buffer[]) {
    this.#chunks = chunks;
  }

  allow(chunks = Number.POSITIVE_INFINITY): void {
    this.#allowed += chunks;
    for (const go of this.#waiting.splice(0)) go();
  }

  readonly produce: Produce<string> = async (writer: StreamWriter, aborted: AbortSignal) => {
    this.starts++;
    aborted.addEventListener('abort', () => {
      this.abortReason = aborted.reason;
      this.allow(0);
    });
    for (const chunk of this.#chunks) {
      while (this.#allowed <= 0 && !aborted.aborted)
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      this.#allowed--;
      await writer.write(chunk);
      this.written++;
    }
    if (this.failure !== undefined) throw this.failure;
    return 'result';
  };
}

const isComplete = (): boolean => true;

/** A destination that can be stopped. */
function destination() {
  const chunks: Buffer[] = [];
  let held: (() => void) | undefined;
  const state = { isHeld: false };
  const stream = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      if (state.isHeld) held = done;
      else done();
    },
  }).on('error', () => {});
  return {
    stream,
    hold() {
      state.isHeld = true;
    },
    release() {
      state.isHeld = false;
      held?.();
    },
    bytes: () => Buffer.concat(chunks),
  };
}

async function readAll({ reader }: OpenedStream<string>, target = destination()): Promise<Buffer> {
  using _ = reader;
  assert.equal(await reader.copyTo(target.stream, { isDirect: true, signal }), 'result');
  return target.bytes();
}

for (const chunks of [0, 1, 3, 100]) {
  test(`${chunks} chunks are produced once and read again`, async (context) => {
    const { cache, files, usage } = arrange(context);
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
    const { cache, files, usage } = arrange(context, { maxAgeMs });
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

test('a sole reader whose stream is not kept needs no file, and holds its producer back', async (context) => {
  const { cache, files, usage } = arrange(context, { maxAgeMs: 0 });
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
  const { cache } = arrange(context, { maxAgeMs: 0 });
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
  const { cache } = arrange(context, { maxAgeMs: 0, isContended: () => state.isContended });
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
  const { cache, files, usage } = arrange(context);
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
  const { cache, usage } = arrange(context);
  const source = new Source(content(30));
  source.allow();

  await readAll(cache.open(KEY, source.produce, () => false));
  await until(() => usage.entries === 0);

  const next = cache.open(KEY, source.produce, isComplete);
  assert.equal(next.isHit, false);
  next.reader[Symbol.dispose]();
});

test('a reader that leaves changes nothing for others; the last one ends the producer', async (context) => {
  const { cache } = arrange(context, { maxAgeMs: 0 });
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
  const { cache, usage } = arrange(context);
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
  const { cache } = arrange(context);
  const source = new Source(content(1));
  const abort = new AbortController();
  using reader = cache.open(KEY, source.produce, isComplete).reader;
  const reading = reader.copyTo(destination().stream, { isDirect: true, signal: abort.signal });

  abort.abort(new Error('left'));

  await assert.rejects(reading, /left/);
});

test('only keys that were requested often enough are kept', async (context) => {
  const { cache } = arrange(context, { minOccurrences: 1 });
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

test('streams are forgotten at their age, and files removed with their last reader', async (context) => {
  const clock = { now: 0 };
  const { cache, files, usage } = arrange(context, { now: () => clock.now, maxAgeMs: 1000 });
  const source = new Source(content(100));
  source.allow();
  await readAll(cache.open(KEY, source.produce, isComplete));
  await until(() => usage.bytes === 100 * CHUNK);
  const slow = destination();
  slow.hold();
  const reading = readAll(cache.open(KEY, source.produce, isComplete), slow);

  clock.now = 1000;
  cache.expire();
  assert.equal(cache.size, 0);
  assert.equal(cache.open('other', new Source([]).produce, isComplete).isHit, false);
  assert.equal(files().length, 1);
  slow.release();

  assert.ok((await reading).equals(Buffer.concat(content(100))));
  await until(() => files().length === 0);
});

test('the oldest unread streams give way to new ones', async (context) => {
  const { cache, files, usage } = arrange(context, { maxBytes: 250 * CHUNK });
  const readKey = async (key: string): Promise<boolean> => {
    const source = new Source(content(100));
    source.allow();
    const opened = cache.open(key, source.produce, isComplete);
    assert.ok((await readAll(opened)).equals(Buffer.concat(content(100))));
    await until(() => usage.bytes % (100 * CHUNK) === 0);
    return opened.isHit;
  };

  for (const key of ['a', 'b', 'c']) await readKey(key);

  await until(() => usage.bytes === 200 * CHUNK && files().length === 2);
  assert.deepEqual([await readKey('b'), await readKey('c'), await readKey('a')], [true, true, false]);
});

test('without space streams pass through memory and nothing is kept', async (context) => {
  const { cache, files, usage } = arrange(context, { maxBytes: 10 * CHUNK });
  const source = new Source(content(200));
  source.allow();
  const slow = destination();
  slow.hold();
  const opened = [1, 2].map(() => cache.open(KEY, source.produce, isComplete));
  const slowBytes = readAll(cache.open(KEY, source.produce, isComplete), slow);
  const fast = Promise.all(opened.map((each) => readAll(each)));
  await until(() => source.written * CHUNK > WINDOW_BYTES);
  for (let turns = 0; turns < 20; turns++) await turn();

  assert.ok(source.written * CHUNK < WINDOW_BYTES + 12 * CHUNK, 'memory is bounded');
  slow.release();
  for (const bytes of [...(await fast), await slowBytes])
    assert.ok(bytes.equals(Buffer.concat(content(200))));
  await until(() => usage.bytes === 0 && files().length === 0);
  assert.equal(cache.size, 0);
});

test('a reader that stands still is left behind when it holds up others', async (context) => {
  const { cache } = arrange(context, { maxBytes: 0, stallMs: 50 });
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

for (const maxAgeMs of [0, 60_000]) {
  test(`a directory that cannot be written does not harm readers (age ${maxAgeMs})`, async (context) => {
    const { cache, errors } = arrange(context, {
      maxAgeMs,
      makeDirectory: () => Promise.reject(new Error('read-only')),
    });
    const source = new Source(content(100));
    source.allow();

    const both = [1, 2].map(() => cache.open(KEY, source.produce, isComplete));
    for (const bytes of await Promise.all(both.map((each) => readAll(each))))
      assert.ok(bytes.equals(Buffer.concat(content(100))));
    assert.ok(maxAgeMs === 0 || errors.length > 0);
  });
}

test('a truncated or changed file is an error, never other bytes', async (context) => {
  const { cache, files, usage } = arrange(context);
  for (const damage of ['truncate', 'change'] as const) {
    const source = new Source(content(100));
    source.allow();
    await readAll(cache.open(damage, source.produce, isComplete));
    await until(() => usage.bytes === (damage === 'truncate' ? 100 : 200) * CHUNK);
    const [file = ''] = files();
    if (damage === 'truncate') {
      truncateSync(file, 50 * CHUNK + 7);
    } else {
      await using handle = await open(file, 'r+');
      await handle.write(Buffer.from('X'), 0, 1, 50 * CHUNK + 7);
    }
    const target = destination();
    using reader = cache.open(damage, source.produce, isComplete).reader;

    await assert.rejects(reader.copyTo(target.stream, { isDirect: true, signal }), { code: 'DATA_LOSS' });

    assert.ok(target.bytes().equals(Buffer.concat(content(100)).subarray(0, target.bytes().length)));
    const again = cache.open(damage, source.produce, isComplete);
    assert.equal(again.isHit, false, 'the damaged stream is forgotten');
    assert.ok((await readAll(again)).equals(Buffer.concat(content(100))));
    reader[Symbol.dispose]();
    await until(() => files().length === 1);
    for (const each of files()) rmSync(each);
  }
});

test('chunks that readers keep are not overwritten', async (context) => {
  const { cache } = arrange(context, { maxAgeMs: 0 });
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

test('files of dead processes are removed, and old ones whose process is not known', async (context) => {
  const { cache, directory, files, usage } = arrange(context);
  mkdirSync(join(directory, 'ab'), { recursive: true });
  const dead = `abc-1.${'0'.repeat(8)}.1.1`;
  for (const name of ['old', 'new', dead]) writeFileSync(join(directory, 'ab', name), 'x');
  utimesSync(join(directory, 'ab', 'old'), 0, 0);
  const source = new Source(content(100));
  source.allow();
  await readAll(cache.open(KEY, source.produce, isComplete));
  await until(() => usage.bytes === 100 * CHUNK);

  await cache.removeStrays();

  assert.equal(files().filter((file) => file.includes('/ab/')).length >= 2, true);
  assert.equal(existsSync(join(directory, 'ab', 'old')), false);
  assert.equal(existsSync(join(directory, 'ab', 'new')), true);
  assert.equal(usage.removed, 1);
  assert.ok((await readAll(cache.open(KEY, source.produce, isComplete))).length === 100 * CHUNK);
});

test('a stopping cache ends its producers', async (context) => {
  const { cache, files } = arrange(context);
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

test('a cache that has stopped has no files', async (context) => {
  const { cache, files, usage } = arrange(context);
  const source = new Source(content(100));
  source.allow();
  await readAll(cache.open(KEY, source.produce, isComplete));
  await until(() => usage.bytes === 100 * CHUNK);
  assert.equal(files().length, 1);

  await cache[Symbol.asyncDispose]();

  assert.deepEqual(files(), []);
});
