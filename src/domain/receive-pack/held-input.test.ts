import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FallBackToGit } from '#git/command/in-process';
import { HeldInput } from './held-input.ts';

async function* chunks(...texts: readonly (string | Error)[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) {
    if (text instanceof Error) throw text;
    yield Buffer.from(text);
  }
}

async function replayed(input: HeldInput): Promise<string> {
  return Buffer.concat(await Array.fromAsync(input.replay())).toString();
}

test('what was read is replayed before the rest', async () => {
  const input = new HeldInput(chunks('one ', 'two ', 'three'));

  assert.equal(String(await input.read()), 'one ');
  assert.equal(String(await input.read()), 'two ');

  assert.equal(await replayed(input), 'one two three');
});

test('a chunk that is still awaited goes to the replay alone', async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const input = new HeldInput(
    (async function* () {
      yield Buffer.from('one ');
      yield Buffer.from(await promise);
      yield Buffer.from('three');
    })(),
  );
  await input.read();

  const abandoned = input.read();
  const all = replayed(input);
  resolve('two ');

  assert.equal(await abandoned, undefined);
  assert.equal(await all, 'one two three');
});

test('the end of the input is the end of the replay', async () => {
  const input = new HeldInput(chunks('all'));

  await input.read();
  assert.equal(await input.read(), undefined);

  assert.equal(await replayed(input), 'all');
});

test('git gets the error of an input that fails', async () => {
  const input = new HeldInput(chunks('one', new Error('the client is gone')));

  await input.read();
  await assert.rejects(() => input.read(), FallBackToGit);

  await assert.rejects(() => replayed(input), /the client is gone/);
});

test('more than a megabyte is left to git, whole', async () => {
  const input = new HeldInput(chunks('x'.repeat(1024 * 1024), 'y', 'z'));

  await input.read();
  await assert.rejects(() => input.read(), /the push is large/);

  assert.equal(await replayed(input), `${'x'.repeat(1024 * 1024)}yz`);
});

test('a client that sends single bytes is left to git, whole', async () => {
  const text = 'x'.repeat(5000);
  const input = new HeldInput(chunks(...text));
  let read = 0;

  await assert.rejects(async () => {
    for (let chunk = await input.read(); chunk !== undefined; chunk = await input.read())
      read += chunk.length;
  }, /the push is large/);

  assert.equal(read, 4096);
  assert.equal(await replayed(input), text);
});
