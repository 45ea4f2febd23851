import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { assertCpuBelow } from '#testkit/measure/cpu-limit';
import { FALLBACK_SECONDS, parseIdent } from './parse-ident.ts';

const facts = (line: string): unknown => {
  const { name, email, seconds, timezone } = parseIdent(Buffer.from(line, 'latin1'));
  return [name.toString('latin1'), email.toString('latin1'), seconds, timezone.toString('latin1')];
};

for (const [line, expected] of [
  ['A U Thor <a@x> 1600000000 +0200', ['A U Thor', 'a@x', 1_600_000_000n, '+0200']],
  ['A <a@x> 9007199254740992 +0000', ['A', 'a@x', 2n ** 53n, '+0000']],
  ['A <a@x> 9007199254740993 +0000', ['A', 'a@x', FALLBACK_SECONDS, '+0000']],
  ['A <a@x> +007 Z', ['A', 'a@x', 7n, 'Z']],
  ['A <a@x> 00000000000000000000007 +0000', ['A', 'a@x', 7n, '+0000']],
  ['A <a@x> 000000000000000000000x +0000', ['A', 'a@x', FALLBACK_SECONDS, '+0000']],
  ['A <a@x> 99999999999999999999999 +0000', ['A', 'a@x', FALLBACK_SECONDS, '+0000']],
  ['A <a@x> + +0000', ['A', 'a@x', FALLBACK_SECONDS, '+0000']],
  ['A <a@x> 0 x', ['A', 'a@x', 0n, 'x']],
  ['A <a@x> 1.5 +0000', ['A', 'a@x', FALLBACK_SECONDS, '+0000']],
  ['A <a@x> 1', ['A', 'a@x', 1n, '']],
  ['A <a@x> 1 ', ['A', 'a@x', 1n, '']],
  ['A <a@x> 1 +0000\r', ['A', 'a@x', 1n, '+0000']],
  ['A <a@x> 1 +0000 x', ['A', 'a@x', 1n, '']],
  ['A <a@x>\t1\t\t+0000', ['A', 'a@x', 1n, '+0000']],
  ['A <a@x>', ['A', 'a@x', undefined, '']],
  ['<a@x> 1 +0000', ['', 'a@x', 1n, '+0000']],
  ['Only Name', ['Only Name', '', undefined, '']],
] as const) {
  test(`${JSON.stringify(line)} is read as Gitaly reads it`, () => assert.deepEqual(facts(line), expected));
}

test('the quick way for plain dates gives what the other one gives', () => {
  const word = fc.constantFrom(
    '0',
    '1',
    '007',
    '1600000000',
    '999999999999999',
    '9999999999999999',
    '+5',
    '-5',
    'x',
    '+0200',
    '\r',
    '\t',
    'é',
  );

  fc.assert(
    fc.property(fc.array(word, { maxLength: 4 }), (words) => {
      const line = `A <a@x> ${words.join(' ')}`;

      // White space at the end does not matter, but such a line is not the plain form.
      assert.deepEqual(facts(line), facts(`${line} `));
    }),
    { numRuns: 300 },
  );
});

// Symptom: one pushed commit with such an author took the memory of a server, or blocked it.
for (const [name, rest] of [
  ['millions of words', '1 '.repeat(2 << 20)],
  ['a date of megabytes', `${'1'.repeat(4 << 20)} `],
] as const) {
  test(`a person with ${name} is read within milliseconds`, async () => {
    const line = Buffer.from(`A <a@x> ${rest}`);

    await assertCpuBelow(150, () => parseIdent(line));
  });
}
