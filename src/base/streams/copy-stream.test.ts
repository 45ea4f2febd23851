import assert from 'node:assert/strict';
import { PassThrough, Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { copyStream, writeChunk } from './copy-stream.ts';

test('all chunks arrive in order and the destination stays open', async () => {
  const destination = new PassThrough();

  const bytes = await copyStream(Readable.from([Buffer.from('one '), Buffer.from('two')]), destination);

  assert.equal(bytes, 7);
  assert.equal(destination.writableEnded, false);
  destination.end();
  assert.equal((await destination.toArray()).join(''), 'one two');
});

test('a slow destination slows the source', async () => {
  let taken = 0;
  async function* source() {
    for (; taken < 100; ) {
      taken++;
      yield Buffer.alloc(1000);
    }
  }
  const destination = new Writable({ highWaterMark: 3000, write: () => {} });

  void copyStream(source(), destination);
  await nextTurn();

  assert.equal(taken, 3);
});

test('closing the destination early ends the copy and the source', async () => {
  const source = new PassThrough();
  const destination = new Writable({ highWaterMark: 1, write: () => {} });

  const copying = copyStream(source, destination);
  source.write('never taken');
  await nextTurn();
  destination.destroy();

  await assert.rejects(copying, { code: 'ERR_STREAM_PREMATURE_CLOSE' });
  assert.equal(source.destroyed, true);
});

test('the error of a destination is passed on', async () => {
  const destination = new Writable({
    highWaterMark: 1,
    write: (_chunk, _encoding, done) => void setImmediate(done, new Error('disk full')),
  });

  await assert.rejects(copyStream(Readable.from([Buffer.alloc(9)]), destination), { message: 'disk full' });
  await assert.rejects(async () => writeChunk(destination, Buffer.alloc(1)), { message: 'disk full' });
});
