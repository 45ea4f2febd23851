import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { never, until } from '#testkit/until';
import { sql } from '../database/database.ts';
import { removeReplicationJobs } from './remove-jobs.ts';

test('the jobs of a repository are removed, after the end of those that run', {
  skip: withoutPostgres,
}, async (context) => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  const add = async (state: string, relativePath: string, virtualStorage = 'default') => {
    const job = JSON.stringify({ virtual_storage: virtualStorage, relative_path: relativePath });
    await database.run(sql`INSERT INTO replication_queue (state, job)
      VALUES (${state}::replication_job_state, ${job}::jsonb)`);
  };
  const left = async (): Promise<string[]> => {
    const rows = await database.rows(sql<{ text: string }>`
      SELECT concat_ws(' ', state, job->>'virtual_storage', job->>'relative_path') AS text
      FROM replication_queue ORDER BY id`);
    return rows.map(({ text }) => text);
  };
  for (const state of ['ready', 'failed', 'dead', 'completed', 'in_progress']) await add(state, 'a.git');
  await add('ready', 'b.git');
  await add('ready', 'a.git', 'other');
  const others = ['ready default b.git', 'ready other a.git'];
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let isDone = false;

  const removal = removeReplicationJobs(database, { virtualStorage: 'default', relativePath: 'a.git' });
  void removal.then(() => {
    isDone = true;
  });

  await until(async () => (await left()).length === 3);
  assert.deepEqual(await left(), ['in_progress default a.git', ...others]);
  await database.run(sql`UPDATE replication_queue SET state = 'completed' WHERE state = 'in_progress'`);
  await never(() => isDone, 'it looks again after a second');
  await until(() => {
    context.mock.timers.tick(1000);
    return isDone;
  });
  assert.deepEqual(await left(), others);
});
