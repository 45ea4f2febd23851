import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { replaceMethod } from '#testkit/replace-method';
import { packets } from '#testkit/repositories/push';
import { PushBands } from './push-bands.ts';

function written(stream: PassThrough): string[] {
  const chunks: Buffer[] = [];
  // A stream without an encoding yields Buffers.
  for (let chunk = stream.read() as Buffer | null; chunk !== null; chunk = stream.read()) chunks.push(chunk);
  return packets(Buffer.concat(chunks)).map((packet) => packet.toString('latin1'));
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

test('a client that has gone is reported', async () => {
  const stream = new PassThrough();
  stream.destroy();

  await assert.rejects(() => new PushBands(stream).end(), { name: 'ClientGoneError' });
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
