import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { test } from 'node:test';
import { replaceMethod } from '#testkit/replace-method';
import { packets } from '#testkit/repositories/push';
import { PushBands } from './push-bands.ts';

function bytesIn(stream: PassThrough): Buffer {
  const chunks: Buffer[] = [];
  // A stream without an encoding yields Buffers.
  for (let chunk = stream.read() as Buffer | null; chunk !== null; chunk = stream.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function written(stream: PassThrough): string[] {
  return packets(bytesIn(stream)).map((packet) => packet.toString('latin1'));
}

test('output is cut into pieces of 128 bytes, and a message into none', async () => {
  const stream = new PassThrough();
  const bands = new PushBands(stream);

  await bands.output(Buffer.from('x'.repeat(300)));
  await bands.output(Buffer.alloc(0));
  await bands.error(Buffer.from('y'.repeat(5000)));

  assert.deepEqual(written(stream), [
    `\x02${'x'.repeat(128)}`,
    `\x02${'x'.repeat(128)}`,
    `\x02${'x'.repeat(44)}`,
    `\x02error: ${'y'.repeat(4088)}\n`,
  ]);
});

const WRITES: Readonly<Record<string, (bands: PushBands) => Promise<void>>> = {
  output: (bands) => bands.output(Buffer.from('x')),
  'a message': (bands) => bands.error(Buffer.from('x')),
  'a report': (bands) => bands.report([Buffer.from('x')], true),
  'the end': (bands) => bands.end(),
};

for (const [what, write] of Object.entries(WRITES))
  test(`a client that has gone is reported for ${what}`, async () => {
    const stream = new PassThrough();
    stream.destroy(new Error('gone'));
    stream.on('error', () => {});

    await assert.rejects(() => write(new PushBands(stream)), { name: 'ClientGoneError' });
  });

test('a report is one packet of packets, with an end only where nothing follows', async () => {
  const stream = new PassThrough();
  const bands = new PushBands(stream);

  await bands.report([], false);
  assert.equal(stream.read(), null);
  await bands.report([], true);
  await bands.report([Buffer.from('unpack ok\n'), Buffer.from('ok a\n')], false);
  await bands.report([Buffer.from('ok b\n')], true);

  const expected = ['0000', '0020\x01000eunpack ok\n0009ok a\n0000', '0012\x010009ok b\n00000000'];
  assert.equal(bytesIn(stream).toString(), expected.join(''));
});

test('nothing is written where there is nothing to say', async () => {
  const writes: number[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      writes.push(chunk.length);
      done();
    },
  });
  const bands = new PushBands(stream);

  await bands.report([], false);
  await bands.output(Buffer.alloc(0));

  assert.deepEqual(writes, []);
});

test('a hook that prints nothing for five seconds is covered by empty packets', async (context) => {
  let nowMs = 0;
  let tick = (): void => {};
  replaceMethod(context, performance, 'now', () => nowMs);
  replaceMethod(context, globalThis, 'setInterval', ((run: () => void) => {
    tick = run;
  }) as never);
  const stream = new PassThrough();
  const bands = new PushBands(stream);
  const { promise, resolve } = Promise.withResolvers<string>();

  const waiting = bands.whileAlive(promise);
  nowMs = 5_000;
  tick();
  const silent = written(stream);
  await bands.output(Buffer.from('words'));
  nowMs = 9_999;
  tick();
  resolve('done');

  assert.equal(await waiting, 'done');
  assert.deepEqual([silent, written(stream)], [['\x01'], ['\x02words']]);
});
