import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IdleCores } from './idle-cores.ts';

test('half a core that is idle for two seconds is reported once', () => {
  let nowMs = 1000;
  let idleMs = 500;
  const cores = new IdleCores(
    () => nowMs,
    () => idleMs,
  );
  const passes = (idle: number): boolean => {
    nowMs += 1000;
    idleMs += idle;
    return cores.take();
  };

  assert.equal(passes(2000), false, 'for one second');
  assert.equal(passes(0), true, 'a whole core for two seconds');
  assert.equal(passes(2000), false, 'a new time begins');
  assert.equal(passes(2000), true);
  assert.equal(passes(450), false);
  assert.equal(passes(450), false, 'less than half a core');
  assert.equal(passes(500), false);
  assert.equal(passes(500), true);
});
