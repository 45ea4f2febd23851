import assert from 'node:assert/strict';
import { existsSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { dial } from '#client/index';
import { sql } from '#praefect/database/database';
import { runPraefect, runPraefectProgram } from '#testkit/praefect/run-praefect';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { startCluster, type TestCluster } from '#testkit/start-cluster';

const skip = withoutPostgres;
const directory = makeScratchDirectory('praefect-track');
after(() => rmSync(directory, { recursive: true }));

/** Creates a repository on one node, past Praefect. */
async function createOnNode(cluster: TestCluster, relativePath: string): Promise<void> {
  await using connection = await dial(cluster.nodes[0]?.address ?? '');
  await connection.repository.createRepository({ repository: { storageName: 'gitaly-1', relativePath } });
}

const named = (path: string): string[] => ['--virtual-storage', 'default', '--relative-path', path];
const tracked = (path: string, storage = 'gitaly-1'): string[] => [
  'track-repository',
  ...named(path),
  '--replica-path',
  path,
  '--authoritative-storage',
  storage,
];

test('a repository on a node is listed, tracked and removed', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres, nodes: 2 });
  const both = { cluster, postgres };
  await createOnNode(cluster, 'stray.git');
  const young = await runPraefect(both, 'list-untracked-repositories');
  assert.deepEqual(young, { stdout: '', stderr: '', code: 0 });
  const old = Date.now() / 1000 - 24 * 3600;
  utimesSync(cluster.repositoryPath(1, 'stray.git'), old, old);
  const listed = await runPraefect(both, 'list-untracked-repositories', '-delimiter', '~');
  assert.equal(
    listed.stdout,
    'The following repositories were found on disk, but missing from the tracking database:\n' +
      '{"relative_path":"stray.git","storage":"gitaly-1","virtual_storage":"default"}~',
  );

  const added = await runPraefectProgram(both, ...tracked('stray.git'), '--replicate-immediately');

  assert.equal(
    added.stdout,
    'Finished adding new repository to be tracked in praefect database.\n' +
      'Finished replicating repository to "gitaly-2".\n',
  );
  assert.ok(existsSync(cluster.repositoryPath(2, 'stray.git')));
  const { database } = postgres;
  assert.deepEqual(
    await database.rows(sql`SELECT storage, generation FROM storage_repositories ORDER BY storage`),
    [
      { storage: 'gitaly-1', generation: 0 },
      { storage: 'gitaly-2', generation: 0 },
    ],
  );
  const again = await runPraefect(both, ...tracked('stray.git'), '--replicate-immediately');
  assert.match(again.stdout, /^repository is already tracked in praefect database\n/);
  assert.equal((await runPraefect(both, 'list-untracked-repositories')).stdout, '');

  const found = await runPraefect(both, 'remove-repository', ...named('stray.git'));
  assert.equal(
    found.stdout,
    'Repository found in the database.\nRe-run the command with -apply to remove repositories from the ' +
      'database and disk or -apply and -db-only to remove from database only.\n',
  );
  assert.ok(existsSync(cluster.repositoryPath(1, 'stray.git')));
  await database.run(sql`INSERT INTO replication_queue (state, job)
    VALUES ('failed', '{"change": "update", "virtual_storage": "default", "relative_path": "stray.git"}')`);
  const removed = await runPraefect(both, 'remove-repository', ...named('stray.git'), '-apply');
  assert.equal(
    removed.stdout,
    `Repository found in the database.
Attempting to remove stray.git from the database, and delete it from all gitaly nodes...
Repository removal completed.
Removing replication events...
Replication event removal completed.
`,
  );
  for (const node of [1, 2]) assert.ok(!existsSync(cluster.repositoryPath(node, 'stray.git')));
  assert.deepEqual(await database.rows(sql`SELECT * FROM replication_queue`), []);
  const gone = await runPraefect(both, 'remove-repository', ...named('stray.git'), '--apply');
  assert.deepEqual(gone, {
    stdout: '',
    stderr: 'repository is not being tracked in Praefect\n',
    code: 1,
  });
});

test('tracking is refused for a repository that is not there', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres, nodes: 1 });
  const both = { cluster, postgres };
  const prefix = 'attempting to track repository in praefect database: ';
  const missing = await runPraefect(both, ...tracked('missing.git'));
  assert.equal(missing.stderr, `${prefix}authoritative repository does not exist\n`);
  assert.equal(missing.code, 1);
  const node = await runPraefect(both, ...tracked('missing.git', 'x'));
  assert.equal(node.stderr, `${prefix}node "x" not found\n`);
  const outside = await runPraefect(both, ...tracked('../outside.git'));
  assert.equal(outside.stdout, 'checking if repository exists "gitaly-1", "../outside.git"\n');
  assert.equal(outside.stderr, `${prefix}authoritative repository does not exist\n`);
});

test('a list of repositories is tracked as a whole or not at all', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres, nodes: 2, config: { reconciliation: {} } });
  const both = { cluster, postgres };
  const path = join(directory, 'list');
  await createOnNode(cluster, 'one.git');
  await createOnNode(cluster, 'two.git');
  const line = (name: string): string =>
    JSON.stringify({
      relative_path: name,
      replica_path: name,
      virtual_storage: 'default',
      authoritative_storage: 'gitaly-1',
    });
  writeFileSync(
    path,
    [line('one.git'), line('one.git'), '{"replica_path": "x"}', line('missing.git'), '@x.git', ''].join('\n'),
  );

  const refused = await runPraefect(both, 'track-repositories', '--input-path', path);

  const lines = refused.stdout.split('\n');
  assert.deepEqual(lines, [
    `Validating repository information in "${path}"`,
    `Found 4 invalid request(s) in "${path}":`,
    '  line 2, relative_path: "one.git", replica_path: "one.git"',
    '    duplicate entries for relative_path, line [1 2]',
    '  line 3, relative_path: "", replica_path: "x"',
    '    "relative-path" is a required parameter',
    '    "virtual-storage" is a required parameter',
    '    "authoritative-storage" is a required parameter',
    '  line 4, relative_path: "missing.git", replica_path: "missing.git"',
    '    not a valid git repository',
    '  line 5, relative_path: "", replica_path: ""',
    "    invalid character '@' looking for beginning of value",
    '',
  ]);
  assert.equal(refused.stderr, 'invalid entries found, aborting\n');
  assert.deepEqual(await postgres.database.rows(sql`SELECT * FROM repositories`), []);
  writeFileSync(path, '');
  const empty = await runPraefect(both, 'track-repositories', '--input-path', path);
  assert.equal(empty.stderr, `no repository information found in "${path}"\n`);

  writeFileSync(path, `${line('one.git')}\n${line('two.git')}\n`);
  const added = await runPraefect(both, 'track-repositories', '-input-path', path);
  const each = [
    'Finished adding new repository to be tracked in praefect database.',
    'Added replication job to replicate repository to "gitaly-2".',
  ];
  assert.deepEqual(added.stdout.split('\n'), [
    `Validating repository information in "${path}"`,
    'All repository details are correctly formatted',
    'Tracking 2 repositories in Praefect DB...',
    ...each,
    ...each,
    '',
  ]);
});
