import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LastBackups, mergeBackups } from './last-backups.ts';

test('what several processes have done is added up, with the latest of each kind', () => {
  const failure = (time: string, repository: string) => ({ time, repository, problem: 'no space' });
  const [early, late] = ['2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z'];

  assert.deepEqual(
    mergeBackups([
      { storage: 'b', done: 1, failed: 0, last_success: late },
      { storage: 'a', done: 2, failed: 1, last_success: early, last_failure: failure(late, 'x.git') },
      { storage: 'a', done: 0, failed: 2, last_failure: failure(early, 'y.git') },
    ]),
    [
      { storage: 'a', done: 2, failed: 3, last_success: early, last_failure: failure(late, 'x.git') },
      { storage: 'b', done: 1, failed: 0, last_success: late },
    ],
  );
});

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
