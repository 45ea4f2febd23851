import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { OidSet } from './oid-set.ts';

const MANY = 50_000;

for (const objectFormat of ['sha1', 'sha256'] as const)
  test(`a set of ids has what a Set of texts has: ${objectFormat}`, () => {
    const idOf = (number: number): string => createHash(objectFormat).update(String(number)).digest('hex');
    const expected = new Set<string>();
    const set = new OidSet(objectFormat);

    for (let number = 0; number < MANY; number++) {
      const oid = idOf(number % (MANY - 1000));
      assert.equal(set.add(oid), !expected.has(oid));
      expected.add(oid);
    }

    assert.equal(set.size, expected.size);
    assert.deepEqual([...set].sort(), [...expected].sort());
    for (let number = 0; number < MANY; number++) {
      const oid = idOf(number);
      assert.equal(set.has(oid), expected.has(oid));
    }
    const positions = new Map(set.positions());
    assert.equal(positions.size, expected.size);
    for (const [position, oid] of positions) {
      assert.equal(set.positionOf(oid), position);
      assert.ok(position < set.positionLimit);
    }
    assert.equal(set.positionOf(idOf(MANY)), -1);
  });

test('an empty set has nothing', () => {
  const set = new OidSet('sha1');

  assert.equal(set.has('0'.repeat(40)), false);
  assert.deepEqual([set.size, [...set], set.positionLimit, set.positionOf('1'.repeat(40))], [0, [], 0, -1]);
});

// Symptom: a client's list of such ids took seconds; all were in 32 of the shards, in long runs.
const CHOSEN: Readonly<Record<string, (number: number) => string>> = {
  'in the last bits': (number) => number.toString(16).padStart(40, '0'),
  'in the upper bits of each word': (number) =>
    [0, 5, 10, 15, 20].map((shift) => `000000${hexByte(((number >> shift) & 31) << 3)}`).join(''),
};
/** Shards of a set: the remainders of positions. */
const SHARDS = 1024;

for (const [where, idOf] of Object.entries(CHOSEN))
  test(`ids that differ only ${where} are in all shards, and found`, () => {
    const set = new OidSet('sha1');
    for (let number = 0; number < MANY; number++) set.add(idOf(number));

    const sizes = Array.from({ length: SHARDS }, () => 0);
    for (const [position] of set.positions()) sizes[position % SHARDS] = (sizes[position % SHARDS] ?? 0) + 1;
    assert.ok(Math.max(...sizes) < (4 * MANY) / SHARDS, `${Math.max(...sizes)} ids in a shard`);
    assert.equal(set.size, MANY);
    for (let number = 0; number < MANY; number++) assert.ok(set.has(idOf(number)));
    assert.equal(set.has(idOf(MANY)), false);
  });

function hexByte(value: number): string {
  return value.toString(16).padStart(2, '0');
}
