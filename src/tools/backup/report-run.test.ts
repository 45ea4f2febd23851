import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import type { Connection } from '#client/index';
import { reportRun } from './report-run.ts';

const RUN = { id: 'a', program: 'p', repositories: 1, failed: 0, failedRepository: '', problem: '' };

/** Reports to a server that answers with an error. */
async function problemsOf(error: Error): Promise<readonly unknown[]> {
  const problems: unknown[] = [];
  const connection = { backupRuns: { report: () => Promise.reject(error) } };
  // It uses this.
  await reportRun(connection as unknown as Connection, 'default', RUN, (problem) => problems.push(problem));
  return problems;
}

test('a server of another build does not know the call, which is no problem', async () => {
  const gitaly = 'unknown service gitalyts.backups.v1.BackupRunService';
  assert.deepEqual(await problemsOf(new GitalyError('UNIMPLEMENTED', gitaly)), []);
  const praefect = 'full method name not found: /gitalyts.backups.v1.BackupRunService/Report';
  assert.deepEqual(await problemsOf(new GitalyError('INTERNAL', praefect)), []);
});

test('any other failure is reported', async () => {
  const error = new GitalyError('INTERNAL', 'full disk');
  assert.deepEqual(await problemsOf(error), [error]);
});
