import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BriefMemory } from './brief-memory.ts';

const sizeOf = (value: string): number => value.length;

test('values are kept up to their limits', () => {
  const memory = new BriefMemory({ maxBytes: 2100, maxValueBytes: 500, maxAgeMs: 60_000, sizeOf });

  memory.set('small', 'x');
  memory.set('too large', 'x'.repeat(501));
  assert.deepEqual([memory.get('small'), memory.get('too large')], ['x', undefined]);

  memory.set('first', 'x'.repeat(500));
  memory.set('second', 'x'.repeat(500));
  assert.deepEqual(
    [memory.get('small'), memory.get('first')?.length, memory.get('second')?.length],
    [undefined, 500, 500],
  );
});

test('values are given back when they are old, though nobody asks for them', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let nowMs = 0;
  t.mock.method(performance, 'now', () => nowMs);
  const memory = new BriefMemory({ maxBytes: 10_000, maxValueBytes: 500, maxAgeMs: 1000, sizeOf });
  memory.set('a', 'x');
  nowMs = 500;
  memory.set('b', 'y');

  nowMs = 1000;
  t.mock.timers.tick(1000);
  assert.equal(memory.size, 1);

  nowMs = 2000;
  t.mock.timers.tick(1000);
  assert.equal(memory.size, 0);
});
