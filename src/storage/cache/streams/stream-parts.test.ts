import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { PIECE_BYTES } from '#base/memory/bulk-buffers';
import { openFilesBelow } from '#testkit/measure/open-files';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type Chunk, ChunkWindow } from './chunk-window.ts';
import { DiskQuota } from './disk-quota.ts';
import { SpoolFile } from './spool-file.ts';
import { type StreamEnd, StreamReader, type StreamSource } from './stream-reader.ts';

const { signal } = new AbortController();
const bytes = (text: string): Buffer => Buffer.from(text);

test('a window counts from the beginning of the stream', () => {
  const window = new ChunkWindow();
  for (const text of ['a', 'bc', 'def']) window.push(bytes(text), undefined);
  assert.deepEqual([window.first, window.end, window.bytes], [0, 3, 6]);

  window.drop();

  assert.deepEqual([window.first, window.end, window.bytes], [1, 3, 5]);
  assert.equal(window.use(0), undefined);
  assert.equal(window.use(1)?.bytes.toString(), 'bc');
  assert.equal(window.use(3), undefined);
  for (let drops = 0; drops < 3; drops++) window.drop();
  assert.deepEqual([window.first, window.end, window.bytes], [3, 3, 0]);
});

test('memory is taken back once, when a chunk is dropped and nobody uses it', () => {
  const window = new ChunkWindow();
  const back: string[] = [];
  const recycle = (chunk: Buffer): void => void back.push(chunk.toString());
  for (const text of ['unused', 'used twice', 'kept']) window.push(bytes(text), recycle);
  const [first, second] = [window.use(1), window.use(1)];
  assert.ok(first && second);
  const early = window.use(2);
  assert.ok(early);
  window.release(early);
  assert.deepEqual(back, []);

  window.drop();
  assert.deepEqual(back, ['unused']);
  window.drop();
  window.release(first);
  assert.deepEqual(back, ['unused']);
  window.release(second);
  assert.deepEqual(back, ['unused', 'used twice']);
  second.uses++;
  window.release(second);
  assert.deepEqual(back, ['unused', 'used twice']);
});

test('a quota is taken whole or not at all', () => {
  const quota = new DiskQuota(10);

  assert.deepEqual([quota.take(4), quota.take(7), quota.take(6), quota.take(1)], [true, false, true, false]);
  assert.equal(quota.usedBytes, 10);
  quota.give(6);
  assert.deepEqual([quota.usedBytes, quota.take(7), quota.take(6)], [4, false, true]);
});

function scratch(context: TestContext): string {
  const directory = makeScratchDirectory('spool');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('blocks are read as they were appended, several at once up to a piece', async (context) => {
  const path = join(scratch(context), 'aa/file');
  const file = await SpoolFile.create(path, { isHidden: false });
  const half = Buffer.alloc(PIECE_BYTES / 2, 'h');
  const large = Buffer.alloc(PIECE_BYTES + 1, 'l');
  await file.append([bytes('one'), bytes('two')]);
  await file.append([half, half, half, large, bytes('end')]);

  const read = async (index: number): Promise<unknown[]> => {
    const blocks = await file.read(index);
    return [blocks.bytes.length, blocks.count];
  };

  assert.deepEqual([file.count, file.bytes], [7, 6 + 1.5 * PIECE_BYTES + large.length + 3]);
  assert.deepEqual(await read(0), [6 + PIECE_BYTES / 2, 3]);
  assert.deepEqual(await read(1), [3 + PIECE_BYTES / 2, 2]);
  // As much as a piece holds, and no more.
  assert.deepEqual(await read(2), [PIECE_BYTES, 2]);
  assert.deepEqual(await read(4), [PIECE_BYTES / 2, 1]);
  assert.deepEqual(await read(5), [PIECE_BYTES + 1, 1]);
  assert.equal((await file.read(6)).bytes.toString(), 'end');
  assert.equal((await file.read(1)).bytes.toString('latin1', 0, 4), 'twoh');
  await assert.rejects(file.read(7), { name: 'RangeError', message: 'there is no block 7' });
  assert.deepEqual([statSync(path).mode & 0o777, statSync(join(path, '..')).mode & 0o777], [0o600, 0o700]);
  await file.remove();
  assert.equal(existsSync(path), false);
});

test('a hidden file has no name, and one that vanished is no error', async (context) => {
  const directory = scratch(context);
  mkdirSync(join(directory, 'aa'));
  const hidden = await SpoolFile.create(join(directory, 'aa/hidden'), { isHidden: true });
  assert.deepEqual(readdirSync(join(directory, 'aa')), []);
  const named = await SpoolFile.create(join(directory, 'aa/named'), { isHidden: false });
  assert.deepEqual(readdirSync(join(directory, 'aa')), ['named']);
  await hidden.append([bytes('content')]);
  assert.equal((await hidden.read(0)).bytes.toString(), 'content');

  // Another file of that name is not ours.
  writeFileSync(join(directory, 'aa/hidden'), '');
  rmSync(join(directory, 'aa/named'));
  assert.equal(openFilesBelow(directory), 2);
  await hidden.remove();
  assert.equal(openFilesBelow(directory), 1);
  await named.remove();

  assert.deepEqual(readdirSync(join(directory, 'aa')), ['hidden']);
});

test('a file that exists, or has no place, is an error', async (context) => {
  const directory = scratch(context);
  writeFileSync(join(directory, 'taken'), '');

  await assert.rejects(SpoolFile.create(join(directory, 'taken'), { isHidden: false }), { code: 'EEXIST' });
  await assert.rejects(SpoolFile.create(join(directory, 'a/b/c'), { isHidden: false }), { code: 'ENOENT' });
  await assert.rejects(SpoolFile.create(join(directory, 'taken/x'), { isHidden: false }), {
    code: 'ENOTDIR',
  });
});

interface FakeSource extends StreamSource<string> {
  end: StreamEnd<string> | undefined;
  readonly events: string[];
  readonly wake: () => void;
}

/** A stream of which the first chunks are stored and the others in memory. */
function source(stored: readonly string[], memory: string[]): FakeSource {
  const events: string[] = [];
  const waiting: (() => void)[] = [];
  return {
    end: undefined,
    events,
    get count() {
      return stored.length + memory.length;
    },
    chunk: (index): Chunk | undefined => {
      const text = memory[index - stored.length];
      return text === undefined || index < stored.length
        ? undefined
        : { bytes: bytes(text), uses: 1, isDropped: false, recycle: undefined };
    },
    release: (chunk) => void events.push(`release ${chunk.bytes}`),
    stored: async (index) => ({
      bytes: bytes(stored.slice(index).join('')),
      count: stored.length - index,
    }),
    progress: () => new Promise((resolve) => waiting.push(resolve)),
    moved: () => void events.push('moved'),
    left: () => void events.push('left'),
    wake: () => {
      for (const resolve of waiting.splice(0)) resolve();
    },
  };
}

for (const kind of ['chunks', 'lentChunks'] as const) {
  test(`a reader's ${kind} are all bytes in order, then the result`, async () => {
    const memory = ['c'];
    const stream = source(['a', 'b'], memory);
    const reader = new StreamReader(stream);
    const seen: string[] = [];
    const reading = (async () => {
      const chunks = reader[kind](signal);
      for (let next = await chunks.next(); ; next = await chunks.next()) {
        if (next.done === true) return next.value;
        seen.push(('giveBack' in next.value ? next.value.bytes : next.value).toString());
        if ('giveBack' in next.value && reader.index === 3) next.value.giveBack();
      }
    })();
    while (reader.index < 3) await new Promise((resolve) => setImmediate(resolve));
    memory.push('d');
    stream.wake();
    while (reader.index < 4) await new Promise((resolve) => setImmediate(resolve));
    stream.end = { result: 'done' };
    stream.wake();

    assert.equal(await reading, 'done');
    assert.deepEqual(seen, ['ab', 'c', 'd']);
    assert.deepEqual([reader.index, reader.bytes], [4, 4]);
    const released = kind === 'lentChunks' ? ['release c'] : [];
    assert.deepEqual(
      stream.events.filter((event) => event !== 'moved'),
      [...released, 'left'],
    );
    assert.equal(stream.events.filter((event) => event === 'moved').length, 3);
    reader[Symbol.dispose]();
    assert.equal(stream.events.filter((event) => event === 'left').length, 1);
  });

  test(`a reader's ${kind} end with the error of the stream, with its own, or with the signal`, async () => {
    const broken = new Error('broken');
    const readAll = async (reader: StreamReader<string>, until = signal): Promise<void> => {
      for await (const _ of reader[kind](until));
    };
    const failing = source([], ['a']);
    failing.end = { error: broken };
    const late = new StreamReader(source([], ['a']));
    late.fail(broken);
    late.fail(new Error('a later one does not count'));

    await assert.rejects(readAll(new StreamReader(failing)), broken);
    await assert.rejects(readAll(late), broken);
    const waiting = source([], []);
    const controller = new AbortController();
    const reading = readAll(new StreamReader(waiting), controller.signal);
    setImmediate(() => controller.abort(broken));
    await assert.rejects(reading, broken);
    assert.deepEqual(waiting.events, ['left']);
  });
}

for (const isDirect of [true, false]) {
  test(`a stream is copied, and memory ${isDirect ? 'given back' : 'left to the destination'}`, async () => {
    const stream = source(['a'], ['b', 'c']);
    stream.end = { result: 'done' };
    const written: string[] = [];
    const destination = new Writable({
      write(chunk, _encoding, done) {
        written.push(String(chunk));
        setImmediate(done);
      },
    });

    const result = await new StreamReader(stream).copyTo(destination, { isDirect, signal });
    assert.equal(destination.listenerCount('close'), 0);
    await new Promise<void>((resolve) => destination.end(resolve));

    assert.equal(result, 'done');
    assert.equal(written.join(''), 'abc');
    assert.deepEqual(
      stream.events.filter((event) => event.startsWith('release')),
      isDirect ? ['release b', 'release c'] : [],
    );
  });
}

test('a destination that fails, closes or is closed ends a copy, and memory is not given back', async () => {
  const broken = new Error('broken');
  const copy = async (destination: Writable): Promise<string[]> => {
    destination.on('error', () => {});
    const stream = source([], ['a', 'b']);
    const reader = new StreamReader(stream);
    const end = reader.copyTo(destination, { isDirect: true, signal });
    const message = await end.then(
      () => 'copied',
      (error: unknown) => String(error),
    );
    return [message, ...stream.events.filter((event) => event.startsWith('release'))];
  };
  const never = new Writable({ write: () => {} });
  setImmediate(() => never.destroy());
  const closed = new Writable();
  closed.destroy();

  assert.deepEqual(await copy(new Writable({ write: (_chunk, _encoding, done) => done(broken) })), [
    'Error: broken',
  ]);
  assert.deepEqual(await copy(never), ['Error: Premature close']);
  assert.deepEqual(await copy(closed), ['Error: Premature close']);
});
