import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { textPacket } from '#base/pkt-line/packet';
import { readBeginning } from './first-command.ts';

const [ONE, ZERO] = ['1'.repeat(40), '0'.repeat(40)];
const [LONG_ONE, LONG_ZERO] = ['1'.repeat(64), '0'.repeat(64)];

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const PUSHES: readonly [string, string | undefined][] = [
  [`${ZERO} ${ONE} refs/heads/main\0report-status object-format=sha1`, 'sha1'],
  [`${LONG_ZERO} ${LONG_ONE} refs/heads/main\0report-status`, 'sha256'],
  [`shallow ${LONG_ONE}`, 'sha256'],
  [`shallow ${ONE}\n`, 'sha1'],
  ['push-cert\0report-status object-format=sha256 agent=git/2\n', 'sha256'],
  ['push-cert\0report-status\n', undefined],
];

for (const size of [1, 7, 1000]) {
  test(`the beginning of a push shows its object format, in pieces of ${size} bytes`, async () => {
    for (const [command, format] of PUSHES) {
      const push = Buffer.concat([textPacket(command), Buffer.from('0000PACK\0')]);

      const beginning = await readBeginning(inPieces(push, size));

      assert.ok(beginning.kind === 'push', command);
      assert.equal(beginning.objectFormat, format, command);
      assert.deepEqual(await buffer(beginning.bytes), push);
    }
  });
}

test('a flush packet and an empty input are no push', async () => {
  assert.deepEqual(await readBeginning(inPieces(Buffer.from('0000'), 1)), { kind: 'nothing' });
  assert.deepEqual(await readBeginning(inPieces(Buffer.alloc(0), 1)), { kind: 'nothing' });
});

test('anything else is invalid', async () => {
  const others = ['0001', '0002', '0009hello', 'GET / HTTP/1.1', '00', '0035', `0031${ONE} x`, 'ffffx'];
  for (const text of others)
    assert.deepEqual(await readBeginning(inPieces(Buffer.from(text), 3)), { kind: 'invalid' }, text);
});

test('reading on can be stopped while the client is silent', async () => {
  const input = new PassThrough();
  input.write(textPacket(`${ZERO} ${ONE} refs/heads/main\0`));
  const beginning = await readBeginning(input);
  assert.ok(beginning.kind === 'push');
  const bytes = beginning.bytes[Symbol.asyncIterator]();
  await bytes.next();

  const waiting = bytes.next();
  await bytes.return?.();

  assert.deepEqual(await waiting, { done: true, value: undefined });
  assert.equal(input.listenerCount('readable'), 0);
});

test('an input that is no push is not read any further', async () => {
  for (const text of ['0000', '0009hello']) {
    const input = new PassThrough();
    input.write(text);

    await readBeginning(input);

    assert.equal(input.listenerCount('readable'), 0, text);
    const pieces = inPieces(Buffer.from(`${text} and more`), 4);
    await readBeginning(pieces);
    assert.equal((await pieces.next()).done, true, text);
  }
});
