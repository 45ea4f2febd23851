import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { BACKCHANNEL_MAGIC, MAGIC_BYTES, readMagic, SIDECHANNEL_MAGIC } from './connection-magic.ts';
import { readUpTo } from './read-up-to.ts';

const MAGICS = [BACKCHANNEL_MAGIC, SIDECHANNEL_MAGIC] as const;

test('all magics are 11 bytes', () => {
  for (const magic of MAGICS) assert.equal(Buffer.byteLength(magic), MAGIC_BYTES);
});

test('a magic is consumed, however it is split', async () => {
  const [near, far] = duplexPair();

  const magic = readMagic(near, MAGICS);
  for (const byte of SIDECHANNEL_MAGIC) {
    far.write(byte);
    await new Promise(setImmediate);
  }
  far.end('the rest');

  assert.equal(await magic, 'sidechannel');
  assert.equal(await text(near), 'the rest');
});

for (const input of ['PRI * HTTP/2.0', 'PRI * HTTP/', 'short', '', 'backchanneL and more']) {
  test(`${JSON.stringify(input)} is left for the next reader`, async () => {
    const [near, far] = duplexPair();

    far.end(input);

    assert.equal(await readMagic(near, MAGICS), undefined);
    assert.equal(await text(near), input);
  });
}

test('a listener that is added at once receives the remaining bytes', async () => {
  const [near, far] = duplexPair();
  far.write('abcdef');

  assert.equal(String(await readUpTo(near, 3)), 'abc');
  const rest = await new Promise<Buffer>((resolve) => near.on('data', resolve));

  assert.equal(String(rest), 'def');
});

test('the signal ends the wait and leaves the stream unchanged', async () => {
  const [near, far] = duplexPair();
  const controller = new AbortController();
  far.write('ab');

  const reading = readUpTo(near, 3, { signal: controller.signal });
  await new Promise(setImmediate);
  controller.abort(new Error('enough'));

  await assert.rejects(reading, /enough/);
  far.end('cd');
  assert.equal(await text(near), 'abcd');
});

test('destroying the stream fails the wait', async () => {
  const [near] = duplexPair();

  const reading = readUpTo(near, 3);
  near.destroy();

  await assert.rejects(reading, /stream closed/);
  await assert.rejects(readUpTo(near, 3), /stream closed/);
});
