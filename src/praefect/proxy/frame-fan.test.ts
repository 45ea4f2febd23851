import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { FrameFan } from './frame-fan.ts';

const bytes = (text: string): Buffer => Buffer.from(text);

/** Frames of a client that counts how many were read, and fails at the end if there is an error. */
class Client implements AsyncIterator<Buffer> {
  read = 0;
  readonly #count: number;
  readonly #error: Error | undefined;

  constructor(count: number, error?: Error) {
    this.#count = count;
    this.#error = error;
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    if (this.read < this.#count) return { done: false, value: bytes(`${++this.read}`) };
    if (this.#error !== undefined) throw this.#error;
    return { done: true, value: undefined };
  }
}

async function textsOf(frames: AsyncIterable<Buffer>): Promise<string[]> {
  return (await Array.fromAsync(frames)).map(String);
}

test('each destination receives its first frame, and then those of the client', async () => {
  const fan = new FrameFan(new Client(40), [bytes('a'), bytes('b')]);
  const running = fan.run();

  const [first, second] = await Promise.all(fan.destinations.map(textsOf));

  const rest = Array.from({ length: 40 }, (_, index) => `${index + 1}`);
  assert.deepEqual(
    [first, second],
    [
      ['a', ...rest],
      ['b', ...rest],
    ],
  );
  await running;
});

test('no more frames are read while one destination has 16 waiting', async () => {
  const client = new Client(40);
  const fan = new FrameFan(client, [bytes('a'), bytes('b')]);
  const running = fan.run();
  const [fast, slow] = fan.destinations;
  assert.ok(fast && slow);
  const read = textsOf(fast);
  await immediate();
  assert.equal(client.read, 15);

  const frames = slow[Symbol.asyncIterator]();
  for (const expected of [1, 2, 3]) {
    await frames.next();
    await immediate();
    assert.equal(client.read, 15 + expected);
  }

  fan.close();
  await running;
  assert.ok((await read).length < 40);
});

test('a destination that is closed does not hold up the other', async () => {
  const fan = new FrameFan(new Client(40), [bytes('a'), bytes('b')]);
  const running = fan.run();
  const [open, closed] = fan.destinations;
  assert.ok(open && closed);
  const frames = closed[Symbol.asyncIterator]();
  await frames.next();
  await frames.return?.();

  assert.equal((await textsOf(open)).length, 41);

  assert.deepEqual(await frames.next(), { done: true, value: undefined });
  await running;
});

test('frames are read until all destinations are closed', async () => {
  const client = new Client(1000);
  const fan = new FrameFan(client, [bytes('a'), bytes('b')]);
  const running = fan.run();

  fan.close();
  await running;

  assert.ok(client.read <= 16);
  for (const destination of fan.destinations) assert.deepEqual(await textsOf(destination), []);
});

test('an error of the client reaches all destinations after the frames before it', async () => {
  const fan = new FrameFan(new Client(2, new Error('gone')), [bytes('a'), bytes('b')]);
  await fan.run();

  for (const destination of fan.destinations) {
    const frames = destination[Symbol.asyncIterator]();
    const texts: string[] = [];
    for (let count = 0; count < 3; count++) texts.push(String((await frames.next()).value).slice(0, 1));
    assert.deepEqual(texts.slice(1), ['1', '2']);
    await assert.rejects(frames.next(), { message: 'gone' });
  }
});
