import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeBackups } from './merge-backups.ts';

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
