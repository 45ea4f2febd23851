import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IdleCores } from './idle-cores.ts';

test('half a core that is idle for a second is reported once', () => {
  let nowMs = 1000;
  let idleMs = 500;
  const cores = new IdleCores(
    () => nowMs,
    () => idleMs,
  );
  const passes = (idle: number): boolean => {
    nowMs += 500;
    idleMs += idle;
    return cores.take();
  };

  assert.equal(passes(1000), false, 'for half a second');
  assert.equal(passes(0), true, 'a whole core for a second');
  assert.equal(passes(1000), false, 'a new time begins');
  assert.equal(passes(1000), true);
  assert.equal(passes(225), false);
  assert.equal(passes(225), false, 'less than half a core');
  assert.equal(passes(250), false);
  assert.equal(passes(250), true);
});
