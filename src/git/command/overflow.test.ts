import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { Overflow } from './overflow.ts';

test('git does more while two pieces of work are on the event loop', () => {
  const overflow = new Overflow();
  using _ = overflow.startInProcess();
  assert.equal(overflow.isFull, false);
  {
    using _second = overflow.startInProcess();
    assert.equal(overflow.isFull, true);
  }
  assert.equal(overflow.isFull, false);
});

test('no more gits are started than there are processors', () => {
  const overflow = new Overflow();
  using work = new DisposableStack();
  for (let index = 0; index < 2; index++) work.use(overflow.startInProcess());
  for (let index = 1; index < availableParallelism(); index++) work.use(overflow.startGit());
  assert.equal(overflow.isFull, true);
  {
    using _ = overflow.startGit();
    assert.equal(overflow.isFull, false);
  }
  assert.equal(overflow.isFull, true);
});
