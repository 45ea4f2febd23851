import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireObjectId } from './object-id.ts';

test('an id that is complete is handed back', () => {
  assert.equal(requireObjectId('0a'.repeat(20), 'sha1'), '0a'.repeat(20));
  assert.equal(requireObjectId('0a'.repeat(32), 'sha256'), '0a'.repeat(32));
});

for (const [oid, format, problem] of [
  ['', 'sha1', 'invalid object ID: "", expected length 40, got 0'],
  ['main', 'sha1', 'invalid object ID: "main", expected length 40, got 4'],
  ['é', 'sha256', 'invalid object ID: "é", expected length 64, got 2'],
  ['A'.repeat(40), 'sha1', `invalid object ID: "${'A'.repeat(40)}", invalid character 'A'`],
  [`${'0'.repeat(39)}'`, 'sha1', `invalid object ID: "${'0'.repeat(39)}'", invalid character '\\''`],
  [`${'0'.repeat(39)}"`, 'sha1', `invalid object ID: "${'0'.repeat(39)}\\"", invalid character '"'`],
  [`${'0'.repeat(39)}\n`, 'sha1', `invalid object ID: "${'0'.repeat(39)}\\n", invalid character '\\n'`],
  [`${'0'.repeat(38)}é`, 'sha1', `invalid object ID: "${'0'.repeat(38)}é", invalid character 'é'`],
] as const) {
  test(`the id ${JSON.stringify(oid)} is refused in the words of Gitaly`, () => {
    assert.throws(() => requireObjectId(oid, format), { code: 'INVALID_ARGUMENT', message: problem });
  });
}
