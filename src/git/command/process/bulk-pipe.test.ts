import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { fstatSync, writeSync } from 'node:fs';
import { PassThrough, Writable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { bulkBuffers, PIECE_BYTES } from '#base/memory/bulk-buffers';
import { blockFor, countTurns } from '#testkit/measure/loop-turns';
import { never, until } from '#testkit/until';
import { chooseSpawner } from '../spawner/choose-spawner.ts';
import { BulkPipe } from './bulk-pipe.ts';

function open(): BulkPipe {
  const pipe = BulkPipe.open();
  assert.ok(pipe !== undefined, 'this machine has pipes and FFI');
  return pipe;
}

/** Starts a shell that writes to the pipe. */
async function start(pipe: BulkPipe, script: string) {
  const child = (await chooseSpawner()).spawn({
    file: '/bin/sh',
    argv: ['sh', '-c', script],
    env: { PATH: process.env.PATH ?? '' },
    stdin: 'ignore',
    stdout: pipe.writeEnd,
    stderr: 'ignore',
    extraPipes: 0,
  });
  pipe.closeWriteEnd();
  return child;
}

test('everything arrives in order, and the destination stays open', async () => {
  const pipe = open();
  const child = await start(
    pipe,
    'i=0; while [ $i -lt 300 ]; do head -c 20000 /dev/zero | tr "\\0" "x"; echo $i; i=$((i+1)); done',
  );
  const hash = createHash('sha1');
  const expected = createHash('sha1');
  for (let index = 0; index < 300; index++) expected.update(`${'x'.repeat(20_000)}${index}\n`);
  const destination = new Writable({
    write(chunk, _encoding, done) {
      hash.update(chunk);
      setImmediate(done);
    },
  });

  const bytes = await pipe.copyTo(destination);

  assert.equal(hash.digest('hex'), expected.digest('hex'));
  assert.equal(bytes, 300 * 20_000 + 10 * 2 + 90 * 3 + 200 * 4);
  assert.equal(destination.destroyed, false);
  assert.equal((await child.exited).code, 0);
});

test('the next piece is not read before the destination has taken the last one', async () => {
  const pipe = open();
  const written: Buffer[] = [];
  let release: (() => void) | undefined;
  const destination = new Writable({
    write(chunk, _encoding, done) {
      written.push(chunk);
      release = () => done();
    },
  });
  const copying = pipe.copyTo(destination);

  writeSync(pipe.writeEnd, 'first');
  await until(() => release !== undefined);
  writeSync(pipe.writeEnd, randomBytes(1000));
  await never(() => written.length > 1);
  assert.deepEqual(written.map(String), ['first']);

  pipe.closeWriteEnd();
  const releaser = setInterval(() => release?.(), 1);
  assert.equal(await copying, 1005);
  clearInterval(releaser);
});

test('a destination that fails or closes ends the copying and closes the pipe', async () => {
  for (const breakIt of [
    (stream: PassThrough) => stream.destroy(new Error('gone')),
    (stream: PassThrough) => stream.destroy(),
  ]) {
    const pipe = open();
    const child = await start(pipe, 'exec yes');
    const destination = new PassThrough({ highWaterMark: 1 });
    const copying = pipe.copyTo(destination);
    await until(() => destination.readableLength > 0);

    breakIt(destination);

    await assert.rejects(copying, /gone|Premature close/);
    assert.notEqual((await child.exited).code, 0); // SIGPIPE
  }
});

test('a pipe that nobody copied from closes both ends', () => {
  const pipe = open();

  pipe[Symbol.dispose]();

  assert.throws(() => fstatSync(pipe.writeEnd), { code: 'EBADF' });
});

test('chunks are passed on in memory of their own, one after another', async () => {
  const pipe = open();
  const child = await start(pipe, 'head -c 3000000 /dev/zero | tr "\\0" "y"; echo end');
  const chunks: Buffer[] = [];
  let isTaking = false;

  const bytes = await pipe.passOn(async (chunk) => {
    assert.equal(isTaking, false);
    isTaking = true;
    chunks.push(chunk);
    await sleep(1); // the next piece could come meanwhile
    isTaking = false;
  });

  assert.equal(bytes, 3_000_004);
  assert.equal(Buffer.concat(chunks).toString(), `${'y'.repeat(3_000_000)}end\n`);
  for (const chunk of chunks) assert.equal(chunk.buffer.byteLength, PIECE_BYTES);
  assert.equal((await child.exited).code, 0);
});

test('chunks that are taken at once are followed by the next', async () => {
  const pipe = open();
  const child = await start(pipe, 'i=0; while [ $i -lt 100 ]; do echo $i; i=$((i+1)); done');
  let text = '';

  await pipe.passOn((chunk) => {
    text += chunk.toString();
    return undefined;
  });

  assert.equal(text, Array.from({ length: 100 }, (_, index) => `${index}\n`).join(''));
  assert.equal((await child.exited).code, 0);
});

test('an error of who takes the chunks ends the pipe', async () => {
  const pipe = open();
  const child = await start(pipe, 'while echo x; do :; done');

  await assert.rejects(
    pipe.passOn(() => Promise.reject(new Error('no more'))),
    /no more/,
  );

  assert.notEqual((await child.exited).code, 0);
});

test('a reader gets everything, and leaves no memory behind that others could use', async () => {
  const read = async (script: string): Promise<string> => {
    const pipe = open();
    const child = await start(pipe, script);
    const chunks = await Array.fromAsync(pipe.chunks(undefined));
    assert.equal((await child.exited).code, 0);
    // The piece comes back when the descriptor is closed, at the end of an iteration of the event
    // loop.
    await nextTurn();
    await nextTurn();
    return Buffer.concat(chunks).toString();
  };
  assert.equal(await read('head -c 3000000 /dev/zero | tr "\\0" "y"'), 'y'.repeat(3_000_000));
  const spare = bulkBuffers.take();
  bulkBuffers.give(spare);

  for (let time = 0; time < 3; time++) assert.equal(await read('echo x'), 'x\n');

  assert.equal(bulkBuffers.take().buffer, spare.buffer);
});

// Symptom: a process that writes fast blocked other calls while 32 chunks were handled.
test('bulk data is read in slices of the event loop', async () => {
  const pipe = open();
  await start(pipe, 'head -c 20000000 /dev/zero');
  using turns = countTurns();
  let [bytes, last, inOneTurn, most] = [0, 0, 0, 0];

  for await (const chunk of pipe.chunks(undefined)) {
    bytes += chunk.length;
    inOneTurn = turns.count === last ? inOneTurn + 1 : 1;
    last = turns.count;
    if (bytes > 4 << 20) most = Math.max(most, inOneTurn);
    blockFor(6);
  }

  assert.equal(bytes, 20_000_000);
  assert.ok(most >= 1 && most <= 4, `${most} chunks`);
});

test('a reader that leaves and one that is aborted end the pipe', async () => {
  const leaving = open();
  const left = await start(leaving, 'while echo x; do :; done');
  for await (const chunk of leaving.chunks(undefined)) {
    assert.ok(chunk.length > 0);
    break;
  }
  assert.notEqual((await left.exited).code, 0);

  const pipe = open();
  const child = await start(pipe, 'while echo x; do :; done');
  const abort = new AbortController();
  const reading = (async () => {
    for await (const _ of pipe.chunks(abort.signal)) abort.abort();
  })();
  await assert.rejects(reading, { code: 'ERR_STREAM_PREMATURE_CLOSE' });
  assert.notEqual((await child.exited).code, 0);
});
