import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import { RepeatableInput } from './repeatable-input.ts';

async function textOfAll(input: AsyncIterable<Uint8Array>): Promise<string> {
  return (await Array.fromAsync(input)).map(String).join('|');
}

test('each reader gets all data', async () => {
  const source = new PassThrough();
  const input = new RepeatableInput(source);
  source.write('one');
  for await (const chunk of input) {
    assert.equal(String(chunk), 'one');
    break;
  }
  source.end('two');

  assert.equal(await textOfAll(input), 'one|two');
  assert.equal(await textOfAll(input), 'one|two');
});

test('what a reader waits for when it stops is the next one’s', async () => {
  const source = new PassThrough();
  const input = new RepeatableInput(source);
  const first = input[Symbol.asyncIterator]();
  const waiting = first.next();
  void first.return();
  const whole = textOfAll(input);

  source.end('late');

  assert.equal(await whole, 'late');
  assert.equal(String((await waiting).value), 'late');
});

test('more than 64 KiB can be read once', async () => {
  const input = new RepeatableInput(
    Readable.from([Buffer.alloc(40 << 10, 'a'), Buffer.alloc(40 << 10, 'b')]),
  );

  assert.equal((await textOfAll(input)).length, (80 << 10) + 1);
  await assert.rejects(textOfAll(input), /are not kept/);
});

test('an error of the source reaches the reader', async () => {
  const source = new PassThrough();
  const input = new RepeatableInput(source);
  source.destroy(new Error('gone'));

  await assert.rejects(textOfAll(input), /gone/);
});

test('the source keeps no listener after the stop', async () => {
  const source = new PassThrough();
  const input = new RepeatableInput(source);
  const reading = textOfAll(input);

  await input.stop();

  assert.equal(await reading, '');
  assert.equal(source.listenerCount('readable') + source.listenerCount('error'), 0);
  assert.equal(source.destroyed, false);
});

test('each chunk is reported once, when it is read', async () => {
  const chunks = [Buffer.from('one'), Buffer.from('two')];
  const reported: Uint8Array[] = [];
  const source = (async function* () {
    yield* chunks;
  })();
  const input = new RepeatableInput(source, (chunk) => void reported.push(chunk));

  for await (const _ of input) break;
  assert.deepEqual(reported, chunks.slice(0, 1));

  assert.deepEqual(await Array.fromAsync(input), chunks);
  assert.deepEqual(reported, chunks);
});
