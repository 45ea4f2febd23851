import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { decodeBase64 } from './decode-base64.ts';

test('what was encoded comes back, also from lines', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const lines = Buffer.from(bytes).toString('base64').replace(/.{4}/g, '$&\r\n');

      assert.deepEqual(decodeBase64(lines), Buffer.from(bytes));
    }),
  );
});

for (const [text, at] of [
  ['YQ', 2],
  ['YQ=', 3],
  ['YWJj YWJj', 4],
  ['Y', 1],
  ['YW-j', 2],
] as const) {
  test(`${JSON.stringify(text)} is refused at byte ${at}`, () => {
    assert.throws(() => decodeBase64(text), { message: `illegal base64 data at input byte ${at}` });
  });
}
