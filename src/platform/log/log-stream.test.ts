import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { FdLogStream } from './log-stream.ts';

function scratch(): { path: string } & Disposable {
  const path = makeScratchDirectory('log');
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

test('lines reach the file in order, whole, after a flush', async () => {
  using directory = scratch();
  const file = join(directory.path, 'log');
  const fd = openSync(file, 'w');
  const stream = new FdLogStream(fd);
  const lines = Array.from({ length: 5000 }, (_, index) => `line ${index} ${'x'.repeat(index % 100)}\n`);

  for (const line of lines) stream.write(line);
  await stream.flush();

  assert.equal(readFileSync(file, 'utf8'), lines.join(''));
  closeSync(fd);
});

test('a synchronous flush writes what waits', () => {
  using directory = scratch();
  const file = join(directory.path, 'log');
  const fd = openSync(file, 'w');
  const stream = new FdLogStream(fd);

  stream.write('last words\n');
  stream.flushSync();

  assert.equal(readFileSync(file, 'utf8'), 'last words\n');
  closeSync(fd);
});

test('a reader that stands still costs lines, not memory, and learns how many', async () => {
  using directory = scratch();
  const fifo = join(directory.path, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
  const stream = new FdLogStream(writer, { maxWaitingBytes: 200_000 });

  const line = `${'x'.repeat(999)}\n`;
  for (let count = 0; count < 1000; count++) stream.write(line);
  assert.ok(stream.dropped >= 700, `${stream.dropped} lines dropped`);

  let text = '';
  const buffer = Buffer.alloc(1 << 16);
  const flushed = stream.flush();
  for (let done = false; !done; ) {
    done = await Promise.race([flushed.then(() => true), new Promise<boolean>((resolve) => setImmediate(resolve, false))]);
    try {
      text += buffer.toString('utf8', 0, readSync(reader, buffer));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  }

  const lines = text.trimEnd().split('\n');
  const note = JSON.parse(lines.pop() ?? '');
  assert.equal(note.msg, 'log lines dropped');
  assert.equal(lines.length + note.count, 1000);
  assert.ok(lines.every((each) => each.length === 999));
  closeSync(reader);
  closeSync(writer);
});
