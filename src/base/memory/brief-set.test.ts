import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { oldBytesPerObject } from '#testkit/measure/old-generation';
import { BriefSet, type Member } from './brief-set.ts';

test('a brief set holds what was added and not removed', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(7)), (steps) => {
      const set = new BriefSet<number>();
      const expected = new Map<number, Member<number>>();
      for (const value of steps) {
        const member = expected.get(value);
        if (member === undefined) {
          expected.set(value, set.add(value));
        } else {
          set.delete(member);
          set.delete(member);
          expected.delete(value);
        }
        assert.equal(set.size, expected.size);
        assert.deepEqual([...set].sort(), [...expected.keys()].sort());
      }
    }),
  );
});

test('members may be removed while a brief set is iterated', () => {
  const set = new BriefSet<string>();
  const members = ['a', 'b', 'c'].map((value) => set.add(value));
  const seen: string[] = [];

  for (const value of set) {
    seen.push(value);
    for (const member of members) set.delete(member);
  }

  assert.deepEqual(seen, ['a', 'b', 'c']);
  assert.equal(set.size, 0);
});

/** Symptom: calls that had ended were moved to the old generation of the heap. */
test('what leaves a brief set is not kept alive by what came later', () => {
  const set = new BriefSet<object>();

  const bytes = oldBytesPerObject((object) => {
    const member = set.add(object);
    return () => set.delete(member);
  });

  // With a Set it is more than 500.
  assert.ok(bytes < 200, `${bytes} bytes of each object`);
});
