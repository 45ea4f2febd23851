import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LastBackups } from './last-backups.ts';

test('a failure keeps the time of the last good backup', () => {
  const last = new LastBackups();
  assert.deepEqual(last.list(), []);

  last.succeeded('default');
  const [before] = last.list();
  last.failed('default', 'a.git', 'backup repository: no space');

  const [after] = last.list();
  assert.equal(after?.last_success, before?.last_success);
  assert.deepEqual([after?.done, after?.failed, after?.last_failure?.repository], [1, 1, 'a.git']);
});
