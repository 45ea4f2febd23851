import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { sql } from '../database/database.ts';
import { Assignments } from './assignments.ts';

const repository = { virtualStorage: 'default', relativePath: 'x.git' };
const REFUSED = 'attempted to set replication factor';

// The cases and results are those of Gitaly 19.0. `z` is not configured.
const CASES: readonly {
  readonly name: string;
  readonly before: string;
  readonly factor: number;
  /** Default `a`. */
  readonly primary?: null;
  /** Possible results, or the text of the refusal. */
  readonly after: readonly string[] | string;
}[] = [
  { name: 'the primary comes first', before: '', factor: 1, after: ['a'] },
  { name: 'a storage that is not configured does not count', before: 'z', factor: 1, after: ['a'] },
  { name: 'nothing is to be done', before: 'ab', factor: 2, after: ['ab'] },
  { name: 'one is added', before: 'a', factor: 2, after: ['ab', 'ac'] },
  { name: 'all are added', before: 'a', factor: 3, after: ['abc'] },
  { name: 'one that is not configured is not removed', before: 'bz', factor: 1, after: ['b'] },
  { name: 'one is removed', before: 'abc', factor: 2, after: ['ab', 'ac'] },
  { name: 'all but the primary are removed', before: 'abc', factor: 1, after: ['a'] },
  { name: 'none is removed without a primary', before: 'abc', factor: 1, primary: null, after: ['abc'] },
  { name: 'one is added without a primary', before: 'ab', factor: 3, primary: null, after: ['abc'] },
  {
    name: 'there are not so many',
    before: 'a',
    factor: 4,
    after: `${REFUSED} 4 but virtual storage only contains 3 storages`,
  },
  { name: 'none is too few', before: '', factor: 0, after: `${REFUSED} 0 but minimum is 1` },
];

test('a replication factor adds and removes assignments', { skip: withoutPostgres }, async (t) => {
  await using postgres = await startPostgres();
  const { database } = postgres;
  const assignments = new Assignments(database, new Map([['default', ['a', 'b', 'c']]]));

  for (const { after, before, factor, name, primary = 'a' } of CASES)
    await t.test(name, async () => {
      await database.run(sql`TRUNCATE repositories CASCADE`);
      await database.run(sql`INSERT INTO repositories VALUES ('default', 'x.git', 0, ${primary}, 1, 'x')`);
      for (const storage of before)
        await database.run(
          sql`INSERT INTO repository_assignments VALUES ('default', 'x.git', ${storage}, 1)`,
        );
      const set = assignments.setReplicationFactor(repository, factor);
      if (typeof after === 'string') {
        await assert.rejects(set, { code: 'INVALID_ARGUMENT', message: after });
        return;
      }
      const result = (await set).join('');
      assert.ok(after.includes(result), result);
      const rows = await database.rows(sql<{ storage: string }>`
        SELECT storage FROM repository_assignments WHERE repository_id = 1 ORDER BY storage`);
      const kept = before.includes('z') ? 'z' : '';
      assert.equal(rows.map(({ storage }) => storage).join(''), result + kept);
    });

  await t.test('a change that cannot be written reports why, and changes nothing', async () => {
    await database.run(sql`TRUNCATE repositories CASCADE`);
    await database.run(sql`INSERT INTO repositories VALUES ('default', 'x.git', 0, 'a', 1, 'x')`);
    await database.run(sql`ALTER TABLE repository_assignments ADD CONSTRAINT none CHECK (false)`);
    await assert.rejects(assignments.setReplicationFactor(repository, 1), /check constraint "none"/);
    await database.run(sql`ALTER TABLE repository_assignments DROP CONSTRAINT none`);
    assert.deepEqual(await assignments.setReplicationFactor(repository, 1), ['a']);
  });

  await t.test('a node that is assigned again keeps its replica, which waited for its removal', async () => {
    await database.run(sql`TRUNCATE repositories, replication_queue CASCADE`);
    await database.run(sql`INSERT INTO repositories VALUES ('default', 'x.git', 0, 'a', 1, 'x')`);
    await database.run(sql`INSERT INTO repository_assignments VALUES ('default', 'x.git', 'a', 1)`);
    for (const [path, id, target, change] of [
      ['x.git', 1, 'b', 'delete_replica'],
      ['x.git', 1, 'b', 'update'],
      ['y.git', 2, 'b', 'delete_replica'],
    ] as const) {
      const job = { ...{ virtual_storage: 'default', relative_path: path, repository_id: id }, change };
      await database.run(sql`INSERT INTO replication_queue (job)
        VALUES (${JSON.stringify({ ...job, target_node_storage: target })}::jsonb)`);
    }

    await assignments.setReplicationFactor(repository, 3);

    const left = await database.rows(sql`SELECT job->>'relative_path' AS path, job->>'change' AS change
      FROM replication_queue ORDER BY id`);
    assert.deepEqual(left, [
      { path: 'x.git', change: 'update' },
      { path: 'y.git', change: 'delete_replica' },
    ]);
  });

  await t.test('an unknown repository is refused', async () => {
    await assert.rejects(assignments.setReplicationFactor({ ...repository, relativePath: 'y.git' }, 1), {
      code: 'INVALID_ARGUMENT',
      message: 'repository "default"/"y.git" not found',
    });
    await assert.rejects(assignments.setReplicationFactor({ ...repository, virtualStorage: 'other' }, 1), {
      code: 'INVALID_ARGUMENT',
      message: 'virtual storage "other" not found',
    });
  });
});
