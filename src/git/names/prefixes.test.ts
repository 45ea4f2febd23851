// Own process: it measures CPU time

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { assertCpuBelow } from '#testkit/measure/cpu-limit';
import { countTurns } from '#testkit/measure/loop-turns';
import { startsWithAny } from './prefixes.ts';

test('a name begins with a prefix as one comparison after the other finds', async () => {
  const word = fc
    .array(fc.constantFrom(0x2f, 0x61, 0x62, 0xff), { maxLength: 5 })
    .map((bytes) => Buffer.from(bytes));

  await fc.assert(
    fc.asyncProperty(
      fc.array(word, { maxLength: 6 }),
      fc.array(word, { maxLength: 6 }),
      async (prefixes, names) => {
        const found = names.map(await startsWithAny(prefixes));

        assert.deepEqual(
          found,
          names.map((name) => prefixes.some((prefix) => name.subarray(0, prefix.length).equals(prefix))),
        );
      },
    ),
  );
});

// Before, each name was compared with each prefix: minutes, in which no other call was served.
test('a hundred thousand names are tested with as many prefixes within a second', async () => {
  const names = Array.from({ length: 100_000 }, (_, index) => Buffer.from(`refs/heads/branch-${index}`));
  const prefixes = names.map((name) => Buffer.concat([name, Buffer.from('x')]));

  await assertCpuBelow(1500, async () => assert.ok(!names.some(await startsWithAny(prefixes))));
});

// Symptom: other calls waited for 110 to 190 ms for a DeleteRefs with as many prefixes.
test('a hundred thousand prefixes are sorted in slices of the event loop', async () => {
  const prefixes = Array.from({ length: 100_000 }, (_, index) => Buffer.from(`${(index * 7919) % 100_000}`));
  using turns = countTurns();

  const isKept = await startsWithAny(prefixes);

  assert.ok(isKept(Buffer.from('99999-x')));
  assert.ok(turns.count >= 3, `${turns.count} turns`);
});
