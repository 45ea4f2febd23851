import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, createReadStream, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { moduleOptions } from '#testkit/programs/program-command';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { FdLogStream } from './log-stream.ts';

function scratch(): { path: string } & Disposable {
  const path = makeScratchDirectory('log');
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

test('lines are written to the file in order, whole, after a flush', async () => {
  using directory = scratch();
  const file = join(directory.path, 'log');
  const fd = openSync(file, 'w');
  const stream = new FdLogStream(fd, { format: 'json' });
  const lines = Array.from({ length: 5000 }, (_, index) => `line ${index} ${'x'.repeat(index % 100)}\n`);

  for (const line of lines) stream.write(line);
  await stream.flush();

  assert.equal(readFileSync(file, 'utf8'), lines.join(''));
  closeSync(fd);
});

test('an urgent line is in the file at once, and only once', async () => {
  using directory = scratch();
  const file = join(directory.path, 'log');
  const fd = openSync(file, 'w');
  const stream = new FdLogStream(fd, { format: 'json' });

  stream.write('waits\n');
  stream.writeNow('urgent\n');
  const atOnce = readFileSync(file, 'utf8');
  await stream.flush();

  assert.equal(atOnce, 'urgent\n');
  assert.equal(readFileSync(file, 'utf8'), 'urgent\nwaits\n');
  closeSync(fd);
});

test('lines that a full disk refuses are counted, also those of a second attempt', async () => {
  const fd = openSync('/dev/full', 'w');
  const stream = new FdLogStream(fd, { format: 'json' });

  for (let count = 1; count <= 3; count++) stream.write('lost\n');
  await stream.flush();
  assert.equal(stream.dropped, 3);
  stream.write('lost, too\n');

  assert.equal(await stream.end(), 4);
  closeSync(fd);
});

// Symptom: a worker whose supervisor was killed exited without the lines of its last calls.
test('the log of a process that exits has its last lines, once', async () => {
  using directory = scratch();
  const file = join(directory.path, 'log');
  const fd = openSync(file, 'w');
  const stream = new FdLogStream(fd, { format: 'json' });
  const lines = Array.from({ length: 2000 }, (_, index) => `line ${index} ${'x'.repeat(100)}\n`);

  for (const line of lines) stream.write(line);
  stream.endNow();
  const atOnce = readFileSync(file, 'utf8');
  stream.write('too late\n');
  await stream.end();

  assert.equal(atOnce, lines.join(''));
  assert.equal(readFileSync(file, 'utf8'), atOnce);
  closeSync(fd);
});

test('the end of the log waits for the last lines', async () => {
  using directory = scratch();
  const file = join(directory.path, 'log');
  const fd = openSync(file, 'w');
  const stream = new FdLogStream(fd, { format: 'json' });

  stream.write('end of log\n');
  const dropped = await stream.end();

  assert.equal(dropped, 0);
  assert.equal(readFileSync(file, 'utf8'), 'end of log\n');
  closeSync(fd);
});

test('the end of the log is not held by a stalled reader, and counts what it loses', async () => {
  using directory = scratch();
  const fifo = join(directory.path, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
  const stream = new FdLogStream(writer, { format: 'json', maxWaitingBytes: 100_000 });
  for (let count = 0; count < 1000; count++) stream.write(`${'x'.repeat(999)}\n`);
  const startedAt = performance.now();

  const dropped = await stream.end();

  const took = performance.now() - startedAt;
  assert.ok(took > 1_900 && took < 5_000, `${took} ms`);
  const written = readSync(reader, Buffer.alloc(1 << 20));
  assert.equal(Math.floor(written / 1000) + dropped, 1000);
  stream.write('after the end\n');
  closeSync(reader);
  closeSync(writer);
});

const NOTE = {
  json: /^\{"count":(\d+),"level":"warning","msg":"log lines dropped","pid":\d+,"time":"[^"]+"\}$/,
  text: /^time="[^"]+" level=warning msg="log lines dropped" count=(\d+) pid=\d+$/,
};

for (const format of ['json', 'text'] as const)
  test(`a stalled reader costs lines, not memory, and their number is logged as ${format}`, async () => {
    using directory = scratch();
    const fifo = join(directory.path, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
    const stream = new FdLogStream(writer, { format, maxWaitingBytes: 200_000 });

    const line = `${'x'.repeat(999)}\n`;
    for (let count = 0; count < 1000; count++) stream.write(line);
    assert.ok(stream.dropped >= 700, `${stream.dropped} lines dropped`);

    let text = '';
    const buffer = Buffer.alloc(1 << 16);
    const flushed = stream.flush();
    for (let done = false; !done; ) {
      done = await Promise.race([
        flushed.then(() => true),
        new Promise<boolean>((resolve) => setImmediate(resolve, false)),
      ]);
      try {
        text += buffer.toString('utf8', 0, readSync(reader, buffer));
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
      }
    }

    const lines = text.trimEnd().split('\n');
    const [, dropped] = NOTE[format].exec(lines.pop() ?? '') ?? [];
    assert.equal(lines.length + Number(dropped), 1000);
    assert.ok(lines.every((each) => each.length === 999));
    closeSync(reader);
    closeSync(writer);
  });

test("two logs that share a pipe do not cut each other's lines", async () => {
  using directory = scratch();
  const fifo = join(directory.path, 'pipe');
  execFileSync('mkfifo', [fifo]);
  const fd = openSync(fifo, constants.O_RDWR); // opening does not wait for a reader then
  const streams = ['a', 'b'].map((name) => {
    const stream = new FdLogStream(fd, { format: 'text' });
    stream.isShared = true;
    for (let index = 0; index < 1000; index++) stream.write(`${name}${index} ${'ü'.repeat(index % 400)}.\n`);
    return stream;
  });
  const wanted = 2000;
  let text = '';
  const reader = createReadStream(fifo, { encoding: 'utf8', highWaterMark: 1000 });
  for await (const chunk of reader) {
    text += chunk;
    if (text.split('\n').length > wanted) break;
  }

  for (const stream of streams) await stream.flush();
  closeSync(fd);
  const lines = text.trimEnd().split('\n');
  assert.equal(lines.length, wanted);
  for (const line of lines) assert.match(line, /^[ab]\d+ ü*\.$/);
});

// Symptom: after a restart by SIGHUP, a process whose log nobody read hung in its exit.
test('a pipe that is full and blocks does not hold a process that exits', async () => {
  using directory = scratch();
  const fifo = join(directory.path, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(fifo, constants.O_WRONLY);
  const script = `
    import { FdLogStream } from '#platform/log/log-stream';
    import { nonBlocking } from '#platform/log/non-blocking';
    const stream = new FdLogStream(nonBlocking(1), { format: 'json' });
    stream.write('x'.repeat(1 << 20) + '\\n');
    process.once('exit', () => stream.endNow());
    await stream.end();
    process.exit(7);`;
  const child = spawn(process.execPath, [...moduleOptions(), '--input-type=module', '-e', script], {
    stdio: ['ignore', writer, 'inherit'],
    timeout: 30_000,
    killSignal: 'SIGKILL',
  });

  const [code] = await once(child, 'close');

  assert.equal(code, 7);
  closeSync(reader);
  closeSync(writer);
});
