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

// Positions of `base64.StdEncoding` of Go 1.26.
for (const [text, at] of [
  ['YQ', 0],
  ['YQ=', 3],
  ['YWJj YWJj', 4],
  ['Y', 0],
  ['YWJjY', 4],
  ['YW-j', 2],
  ['YW-', 2],
  ['=', 0],
  ['====', 0],
  ['Y=', 1],
  ['Y===', 1],
  ['YQ=x', 2],
  ['YQ===', 4],
  ['YWI==', 4],
  ['YQ==YQ==', 4],
] as const) {
  test(`${JSON.stringify(text)} is refused at byte ${at}`, () => {
    assert.throws(() => decodeBase64(text), { message: `illegal base64 data at input byte ${at}` });
  });
}
