import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutPostgres as skip, startPostgres } from '#testkit/servers/start-postgres';
import { sql } from '../database/database.ts';
import { ReplicaMarks } from './replica-marks.ts';

test('replicas of a repository, a virtual storage or one of its nodes are verified again', {
  skip,
}, async () => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  const marks = new ReplicaMarks(database);
  for (const [id, virtualStorage] of ['default', 'default', 'other'].entries()) {
    const path = `${id}.git`;
    await database.run(sql`
      INSERT INTO repositories (virtual_storage, relative_path, generation, repository_id)
      VALUES (${virtualStorage}, ${path}, 0, ${id})`);
    for (const storage of ['a', 'b'])
      await database.run(sql`INSERT INTO storage_repositories
        (virtual_storage, relative_path, storage, generation, repository_id)
        VALUES (${virtualStorage}, ${path}, ${storage}, 0, ${id})`);
  }
  const marked = async (selector: Parameters<ReplicaMarks['markUnverified']>[0]): Promise<string[]> => {
    await database.run(sql`UPDATE storage_repositories SET verified_at = now()`);
    const count = await marks.markUnverified(selector);
    const rows = await database.rows(sql<{ name: string }>`
      SELECT repository_id || storage AS name FROM storage_repositories
      WHERE verified_at IS NULL ORDER BY 1`);
    assert.equal(count, rows.length);
    // Replicas that wait already are not counted again.
    assert.equal(await marks.markUnverified(selector), 0);
    return rows.map(({ name }) => name);
  };

  assert.deepEqual(await marked({ repositoryId: 1 }), ['1a', '1b']);
  assert.deepEqual(await marked({ virtualStorage: 'default' }), ['0a', '0b', '1a', '1b']);
  assert.deepEqual(await marked({ virtualStorage: 'default', storage: 'b' }), ['0b', '1b']);
  assert.deepEqual(await marked({ virtualStorage: 'none' }), []);
});
