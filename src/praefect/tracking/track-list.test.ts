import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { databaseOfFile } from '#testkit/praefect/database-of-file';
import { requestFor, trackedCluster } from '#testkit/praefect/tracked-cluster';
import { withoutPostgres } from '#testkit/servers/start-postgres';
import { sql } from '../database/database.ts';
import { trackRepositories } from './track-list.ts';
import type { TrackRequest } from './track-repository.ts';

const skip = withoutPostgres;

const databaseOf = databaseOfFile(sql`TRUNCATE repositories, replication_queue CASCADE`);

/** A line of a list. */
function line(relativePath: string, change: Partial<TrackRequest> = {}): string {
  const request = requestFor(relativePath, change);
  return JSON.stringify({
    relative_path: request.relativePath,
    replica_path: request.replicaPath,
    virtual_storage: request.virtualStorage,
    authoritative_storage: request.authoritativeStorage,
  });
}

/** Tracks a list that is refused. @returns what is printed about its lines. */
async function refusals(...lines: readonly string[]): Promise<string[]> {
  const cluster = trackedCluster(databaseOf());
  await assert.rejects(trackRepositories(cluster, { path: 'list', lines }), {
    message: 'invalid entries found, aborting',
  });
  const [validating, , ...rest] = cluster.printed;
  assert.equal(validating, 'Validating repository information in "list"');
  return rest;
}

test('all repositories of a list are tracked, in its order', { skip }, async () => {
  const cluster = trackedCluster(databaseOf(), { factor: 1 });

  await trackRepositories(cluster, { path: 'list', lines: [line('b.git'), line('a.git')] });

  assert.deepEqual(cluster.printed, [
    'Validating repository information in "list"',
    'All repository details are correctly formatted',
    'Tracking 2 repositories in Praefect DB...',
    'Finished adding new repository to be tracked in praefect database.',
    'Finished adding new repository to be tracked in praefect database.',
  ]);
  const rows = await databaseOf().rows(sql<{ path: string }>`
    SELECT relative_path AS path FROM repositories ORDER BY repository_id`);
  assert.deepEqual(
    rows.map(({ path }) => path),
    ['b.git', 'a.git'],
  );
});

test('a repository that is already tracked makes the list invalid', { skip }, async () => {
  await databaseOf().run(sql`INSERT INTO repositories (virtual_storage, relative_path, repository_id)
    VALUES ('default', 'a.git', 77), ('other', 'b.git', 78)`);

  assert.deepEqual(await refusals(line('a.git'), line('b.git')), [
    '  line 1, relative_path: "a.git", replica_path: "disk/a.git"',
    '    repository is already tracked by Praefect',
  ]);
});

test('every line with a path that was there before is named', { skip }, async () => {
  const other = line('b.git');

  assert.deepEqual(await refusals(line('a.git'), other, line('a.git'), line('a.git')), [
    '  line 3, relative_path: "a.git", replica_path: "disk/a.git"',
    '    duplicate entries for relative_path, line [1 3 4]',
    '  line 4, relative_path: "a.git", replica_path: "disk/a.git"',
    '    duplicate entries for relative_path, line [1 3 4]',
  ]);
});

test('a repository that its node does not have, or that no node can have, is named', {
  skip,
}, async () => {
  const lines = [
    line('a.git', { replicaPath: 'x' }),
    line('b.git', { authoritativeStorage: 'x' }),
    line('c.git', { virtualStorage: 'x' }),
  ];

  assert.deepEqual(await refusals(...lines), [
    '  line 1, relative_path: "a.git", replica_path: "x"',
    '    not a valid git repository',
    '  line 2, relative_path: "b.git", replica_path: "disk/b.git"',
    '    checking repository on disk: node "x" not found',
    '  line 3, relative_path: "c.git", replica_path: "disk/c.git"',
    '    checking repository on disk: virtual storage "x" not found',
  ]);
});

test('keys that are missing, empty or no text are required', { skip }, async () => {
  const required = [
    '    "relative-path" is a required parameter',
    '    "replica-path" is a required parameter',
    '    "virtual-storage" is a required parameter',
    '    "authoritative-storage" is a required parameter',
  ];

  assert.deepEqual(
    await refusals('{}', line('', { replicaPath: '', virtualStorage: '', authoritativeStorage: '' })),
    [
      '  line 1, relative_path: "", replica_path: ""',
      ...required,
      '  line 2, relative_path: "", replica_path: ""',
      ...required,
    ],
  );
});

for (const value of ['null', '7'])
  test(`a line that is ${value} is no description of a repository`, { skip }, async () => {
    assert.deepEqual(await refusals(value), [
      '  line 1, relative_path: "", replica_path: ""',
      '    not a JSON object',
    ]);
  });

test('the first repository that fails is named, and ends the work', { skip }, async () => {
  const cluster = trackedCluster(databaseOf(), { factor: 2, replicatesNow: true });
  cluster.copyFails = new GitalyError('UNAVAILABLE', 'no route');

  await assert.rejects(trackRepositories(cluster, { path: 'list', lines: [line('a.git'), line('b.git')] }), {
    message:
      'tracking repository "a.git": attempting to track repository in praefect database: ' +
      'processing replication event rpc error: code = Unavailable desc = no route',
  });

  const rows = await databaseOf().rows(sql`SELECT relative_path FROM repositories`);
  assert.deepEqual(rows, [{ relative_path: 'a.git' }]);
});

test('a list without a line is refused', { skip }, async () => {
  const cluster = trackedCluster(databaseOf());

  await assert.rejects(trackRepositories(cluster, { path: 'list', lines: [] }), {
    message: 'no repository information found in "list"',
  });
});
