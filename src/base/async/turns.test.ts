import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Turns } from './turns.ts';

test('no more than the number run at once, in their order, also after a failure', async () => {
  const turns = new Turns(2);
  const started: number[] = [];
  const ends = Array.from({ length: 4 }, () => Promise.withResolvers<void>());
  const results = ends.map((end, index) =>
    turns.run(async () => {
      started.push(index);
      await end.promise;
      return index;
    }),
  );
  await nextTurn();
  assert.deepEqual(started, [0, 1]);

  ends[1]?.reject(new Error('failed'));
  await assert.rejects(results[1] ?? Promise.resolve(), /failed/);
  await nextTurn();
  assert.deepEqual(started, [0, 1, 2]);

  for (const end of ends) end.resolve();
  assert.deepEqual(
    (await Promise.allSettled(results)).map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  );
  assert.deepEqual(started, [0, 1, 2, 3]);
});
