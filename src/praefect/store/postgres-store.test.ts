import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { replaceMethod } from '#testkit/replace-method';
import { startPostgres, type TestDatabase, withoutPostgres } from '#testkit/servers/start-postgres';
import { sql } from '../database/database.ts';
import type { ReplicationJob } from '../model/job.ts';
import { PostgresStore } from './postgres-store.ts';
import { ReplicaMarks } from './replica-marks.ts';
import type { RecordedWrite } from './replica-store.ts';

const skip = withoutPostgres;
let postgres: TestDatabase | undefined;

before(async () => {
  if (skip === false) postgres = await startPostgres();
});

beforeEach(() => postgres?.database.run(sql`TRUNCATE repositories CASCADE`));

after(() => postgres?.[Symbol.asyncDispose]());

const repository = { virtualStorage: 'default', relativePath: 'x.git' };
const created = {
  ...{ repository, repositoryId: 1, replicaPath: '@cluster/x', primary: 'a', updated: ['b'] },
  ...{ outdated: ['c'], isAssigned: false },
};
const other = { ...created, repository: { ...repository, relativePath: 'y.git' }, repositoryId: 2 };
const job: ReplicationJob = {
  ...{ change: 'update', repositoryId: 1, ...repository, replicaPath: '@cluster/x' },
  ...{ source: 'a', target: 'c', correlationId: '' },
};

async function arrange() {
  const { database } = postgres ?? assert.fail();
  const store = new PostgresStore(database);
  await store.recordCreation(created);
  await store.recordCreation(other);
  const names = async (statement: ReturnType<typeof sql<{ name: string }>>): Promise<string[]> =>
    (await database.rows(statement)).map(({ name }) => name);
  return {
    ...{ database, store },
    /** Generation of each repository, and then of each of its replicas. */
    generations: () =>
      names(sql<{ name: string }>`
        SELECT relative_path || ': ' || generation || ', ' || (
          SELECT string_agg(storage || ' ' || replica.generation, ', ' ORDER BY storage)
          FROM storage_repositories AS replica WHERE replica.repository_id = repositories.repository_id
        ) AS name
        FROM repositories ORDER BY repository_id`),
    assigned: () =>
      names(sql<{ name: string }>`
        SELECT relative_path || ' ' || storage AS name FROM repository_assignments ORDER BY 1`),
  };
}

test('a copy that is newer than its repository raises the repository, and no other', { skip }, async () => {
  const { generations, store } = await arrange();

  await store.recordCopy(job, 3);

  assert.deepEqual(await generations(), ['x.git: 3, a 0, b 0, c 3', 'y.git: 0, a 0, b 0']);
});

test('a copy that is older than its repository leaves the repository', { skip }, async () => {
  const { database, generations, store } = await arrange();
  await database.run(sql`UPDATE repositories SET generation = 4 WHERE repository_id = 1`);

  await store.recordCopy({ ...job, target: 'b' }, 3);

  assert.deepEqual(await generations(), ['x.git: 4, a 0, b 3', 'y.git: 0, a 0, b 0']);
});

test('a copy counts for a repository without a generation, too', { skip }, async () => {
  const { database, generations, store } = await arrange();
  await database.run(sql`UPDATE repositories SET generation = NULL WHERE repository_id = 1`);

  await store.recordCopy(job, 0);

  assert.deepEqual(await generations(), ['x.git: 0, a 0, b 0, c 0', 'y.git: 0, a 0, b 0']);
});

test('a copy brings a replica to the path of its repository', { skip }, async () => {
  const { database, store } = await arrange();
  await database.run(sql`UPDATE storage_repositories SET relative_path = 'old.git' WHERE storage = 'b'
    AND repository_id = 1`);

  await store.recordCopy({ ...job, target: 'b' }, 0);

  const row = await database.row(sql`SELECT relative_path AS path FROM storage_repositories
    WHERE storage = 'b' AND repository_id = 1`);
  assert.deepEqual(row, { path: 'x.git' });
});

test('a copy of a repository that was removed leaves no record', { skip }, async () => {
  const { generations, store } = await arrange();
  await store.recordRemoval(repository);

  await store.recordCopy(job, 3);

  assert.deepEqual(await generations(), ['y.git: 0, a 0, b 0']);
});

test('a removal is of the repository of its virtual storage', { skip }, async () => {
  const { generations, store } = await arrange();

  await store.recordRemoval({ ...repository, virtualStorage: 'other' });

  assert.equal((await generations()).length, 2);
});

test('a removed replica is one of the repository of its job', { skip }, async () => {
  const { generations, store } = await arrange();

  assert.equal(await store.removeReplica({ ...job, target: 'b' }), true);

  assert.deepEqual(await generations(), ['x.git: 0, a 0', 'y.git: 0, a 0, b 0']);
});

test('a new repository is assigned to its nodes, with or without it, if that is wanted', {
  skip,
}, async () => {
  const { assigned, store } = await arrange();
  assert.deepEqual(await assigned(), []);

  await store.recordCreation({
    ...{ ...created, repository: { ...repository, relativePath: 'z.git' }, repositoryId: 3 },
    isAssigned: true,
  });

  assert.deepEqual(await assigned(), ['z.git a', 'z.git b', 'z.git c']);
});

test('a path at which a node still has a replica is taken', { skip }, async () => {
  const { database, generations, store } = await arrange();
  await database.run(sql`UPDATE repositories SET relative_path = 'new.git' WHERE repository_id = 1`);

  await assert.rejects(store.recordCreation({ ...created, repositoryId: 3 }), {
    code: 'ALREADY_EXISTS',
    message: 'repository already exists',
  });

  assert.deepEqual(await generations(), ['new.git: 0, a 0, b 0', 'y.git: 0, a 0, b 0']);
});

test('an error of the database at a creation stays as it is', { skip }, async () => {
  const { store } = await arrange();
  const zeros = { ...repository, relativePath: 'zero\0.git' };

  await assert.rejects(store.recordCreation({ ...created, repository: zeros, repositoryId: 3 }), {
    name: 'error',
    code: '22021', // character_not_in_repertoire
  });
});

test('an authoritative replica is newer than all others of its repository', { skip }, async () => {
  const { database, generations } = await arrange();
  const marks = new ReplicaMarks(database);

  assert.equal(await marks.setAuthoritative(repository, 'b'), true);
  assert.deepEqual(await generations(), ['x.git: 1, a 0, b 1', 'y.git: 0, a 0, b 0']);
  assert.equal(await marks.setAuthoritative(repository, 'c'), true);
  assert.deepEqual(await generations(), ['x.git: 2, a 0, b 1, c 2', 'y.git: 0, a 0, b 0']);
  for (const unknown of [
    { ...repository, relativePath: 'z.git' },
    { ...repository, virtualStorage: 'other' },
  ])
    assert.equal(await marks.setAuthoritative(unknown, 'a'), false);
  assert.deepEqual(await generations(), ['x.git: 2, a 0, b 1, c 2', 'y.git: 0, a 0, b 0']);
});

test('a replica that becomes the authoritative one during a copy stays it', { skip }, async () => {
  const { database, generations, store } = await arrange();
  await database.run(sql`UPDATE repositories SET generation = 4 WHERE repository_id = 1`);
  await new ReplicaMarks(database).setAuthoritative(repository, 'b');

  await store.recordCopy({ ...job, target: 'b' }, 3);

  assert.deepEqual(await generations(), ['x.git: 5, a 0, b 5', 'y.git: 0, a 0, b 0']);
});

test('a replica that becomes the authoritative one is no longer to be removed', { skip }, async () => {
  const { database } = await arrange();
  for (const [target, change] of [
    ['a', 'delete_replica'],
    ['b', 'update'],
  ] as const) {
    const fields = { virtual_storage: 'default', relative_path: 'x.git', repository_id: 1, change };
    await database.run(sql`INSERT INTO replication_queue (job)
      VALUES (${JSON.stringify({ ...fields, target_node_storage: target })}::jsonb)`);
  }
  const marks = new ReplicaMarks(database);
  const waiting = async () =>
    (
      await database.rows(sql<{ target: string }>`SELECT job->>'target_node_storage' AS target
      FROM replication_queue ORDER BY id`)
    ).map((row) => row.target);

  await marks.setAuthoritative(repository, 'b');
  assert.deepEqual(await waiting(), ['a', 'b']);
  await marks.setAuthoritative(repository, 'a');
  assert.deepEqual(await waiting(), ['b']);
});

test('a replica of another repository at the same path becomes the authoritative one', { skip }, async () => {
  const { database } = await arrange();
  await database.run(sql`UPDATE storage_repositories SET relative_path = 'old.git' WHERE repository_id = 1`);
  await database.run(sql`UPDATE storage_repositories SET relative_path = 'x.git'
    WHERE repository_id = 2 AND storage = 'b'`);
  await database.run(sql`DELETE FROM storage_repositories WHERE repository_id = 1 AND storage = 'b'`);

  await new ReplicaMarks(database).setAuthoritative(repository, 'b');

  const row = await database.row(sql`SELECT repository_id AS id, generation FROM storage_repositories
    WHERE relative_path = 'x.git' AND storage = 'b'`);
  assert.deepEqual(row, { id: 1, generation: 1 });
});

test('writes that end while one is recorded share a statement, and each one counts', {
  skip,
}, async (context) => {
  const { database, generations, store } = await arrange();
  let statements = 0;
  const { preparedRow } = database;
  const counted: typeof preparedRow = async (...args) => {
    statements++;
    return await Reflect.apply(preparedRow, database, args);
  };
  replaceMethod(context, database, 'preparedRow', counted);
  const write = { repository, repositoryId: 1, primary: 'a', updated: ['b'], outdated: [] };
  const record = async (writes: readonly RecordedWrite[]): Promise<number> => {
    const before = statements;
    for (const storages of await Promise.all(writes.map((each) => store.recordWrite(each))))
      assert.deepEqual(storages.toSorted(), ['a', 'b']);
    return statements - before;
  };

  assert.equal(await record([write, write, write, write]), 2);
  assert.deepEqual(await generations(), ['x.git: 4, a 4, b 4', 'y.git: 0, a 0, b 0']);
  assert.equal(await record([write, { ...write, ...other, outdated: [] }]), 2, 'of two repositories');
  const successors = [['a', 'b']];
  assert.equal(await record([1, 2].map(() => ({ ...write, successors }))), 2, 'of lost primaries');
  assert.deepEqual(await generations(), ['x.git: 7, a 7, b 7', 'y.git: 1, a 1, b 1']);
});

test('writes that share a statement fail together', { skip }, async () => {
  const { store } = await arrange();
  const write = { repository, repositoryId: 9, primary: 'a', updated: ['b'], outdated: [] };
  const results = await Promise.allSettled([1, 2, 3].map(() => store.recordWrite(write)));
  assert.deepEqual(
    results.map((result) => result.status === 'rejected' && result.reason.message),
    ['repository not found', 'repository not found', 'repository not found'],
  );
});
