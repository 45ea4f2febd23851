import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { behindName, behindPrefix, edgesBelow, sortedNames } from './name-ranges.ts';

/** Few different bytes, so that names often share a beginning. */
const name = fc
  .array(fc.constantFrom(0x2f, 0x30, 0x61, 0x62, 0xfe, 0xff), { maxLength: 5 })
  .map((bytes) => Buffer.from(bytes));

const isBefore = (a: Buffer, b: Buffer): boolean => Buffer.compare(a, b) < 0;

test('the names with a prefix are those from it to the name behind it', () => {
  fc.assert(
    fc.property(name, name, (prefix, each) => {
      const end = behindPrefix(prefix);
      const isInRange = !isBefore(each, prefix) && (end === undefined || isBefore(each, end));
      assert.equal(isInRange, each.subarray(0, prefix.length).equals(prefix));
    }),
    { numRuns: 2000 },
  );
  for (const last of [[], [0xff], [0xff, 0xff]]) assert.equal(behindPrefix(Buffer.from(last)), undefined);
});

test('no name is between a name and the one behind it', () => {
  fc.assert(
    fc.property(name, name, (one, each) => {
      assert.ok(isBefore(one, behindName(one)));
      if (isBefore(one, each)) assert.ok(!isBefore(each, behindName(one)));
    }),
    { numRuns: 2000 },
  );
});

test('the edges enclose a name and those below it', () => {
  fc.assert(
    fc.property(name, name, (one, each) => {
      const [start, end, below, behind] = edgesBelow(one);
      assert.ok(start && end && below && behind);
      const isInside =
        (!isBefore(each, start) && isBefore(each, end)) || (!isBefore(each, below) && isBefore(each, behind));
      const text = each.toString('latin1');
      assert.equal(
        isInside,
        text === one.toString('latin1') || text.startsWith(`${one.toString('latin1')}/`),
      );
    }),
    { numRuns: 2000 },
  );
});

test('sorted names are in the order of their bytes, without duplicates', () => {
  const names = ['b', 'a', 'b', 'a/c', 'a-'].map((text) => Buffer.from(text));

  assert.deepEqual(sortedNames(names).map(String), ['a', 'a-', 'a/c', 'b']);
});
