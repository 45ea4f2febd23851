import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { sql } from '#praefect/database/database';
import { runPraefect, runPraefectProgram } from '#testkit/praefect/run-praefect';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startPostgres, withoutPostgres } from '#testkit/servers/start-postgres';
import { startCluster } from '#testkit/start-cluster';
import { until } from '#testkit/until';

const skip = withoutPostgres;
const directory = makeScratchDirectory('praefect-state');
after(() => rmSync(directory, { recursive: true }));
const repository = { storageName: 'default', relativePath: '@hashed/aa/bb/aabb.git' };
/** The tests change tables: nobody else does so meanwhile. */
const WITHOUT_REPAIR = {
  background_verification: { verification_interval: '0s' },
  reconciliation: { scheduling_interval: '0s' },
};
const NAMED = ['--virtual-storage', 'default', '--relative-path', repository.relativePath];

test('what is lost is shown and accepted', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres, config: WITHOUT_REPAIR });
  const both = { cluster, postgres };
  const none = await runPraefect(both, 'dataloss');
  assert.equal(none.stdout, 'Virtual storage: default\n  All repositories are available!\n');
  await cluster.connection.repository.createRepository({ repository });
  const { database } = postgres;
  await database.run(sql`UPDATE repositories SET "primary" = 'gitaly-1'`);
  await database.run(sql`UPDATE storage_repositories SET generation = -1 WHERE storage = 'gitaly-3'`);
  const partial = await runPraefect(both, 'dataloss', '-partially-unavailable', '-virtual-storage=default');
  assert.equal(
    partial.stdout,
    `Virtual storage: default
  Repositories:
    ${repository.relativePath}:
      Primary: gitaly-1
      In-Sync Storages:
        gitaly-1, assigned host
        gitaly-2, assigned host
      Outdated Storages:
        gitaly-3 is behind by 1 change or less, assigned host
`,
  );
  await database.run(sql`UPDATE storage_repositories SET generation = 5 WHERE storage = 'gitaly-2'`);
  await database.run(sql`UPDATE repositories SET generation = 5`);
  await cluster.stopNode(2);
  await until(async () => (await database.rows(sql`SELECT FROM healthy_storages`)).length === 2);

  const lost = await runPraefect(both, 'dataloss');
  assert.equal(
    lost.stdout,
    `Virtual storage: default
  Repositories:
    ${repository.relativePath} (unavailable):
      Primary: gitaly-1
      In-Sync Storages:
        gitaly-2, assigned host, unhealthy
      Outdated Storages:
        gitaly-1 is behind by 5 changes or less, assigned host
        gitaly-3 is behind by 6 changes or less, assigned host
`,
  );
  await assert.rejects(
    cluster.connection.repository.writeRef({
      repository,
      ref: Buffer.from('HEAD'),
      revision: Buffer.from('refs/heads/x'),
    }),
    { code: 'FAILED_PRECONDITION', message: 'repository is in read-only mode' },
  );
  const wrong = await runPraefect(both, 'accept-dataloss', ...NAMED, '--authoritative-storage', 'x');
  assert.equal(
    wrong.stderr,
    'set authoritative storage: rpc error: code = InvalidArgument desc = ' +
      'unknown authoritative storage: "x"\n',
  );
  assert.equal(wrong.code, 1);
  const accepted = await runPraefect(
    both,
    'accept-dataloss',
    ...NAMED,
    '--authoritative-storage',
    'gitaly-1',
  );
  assert.deepEqual(accepted, { stdout: '', stderr: '', code: 0 });
  assert.match((await runPraefect(both, 'dataloss')).stdout, /All repositories are available!/);
});

test('metadata, verify and set-replication-factor', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres, config: WITHOUT_REPAIR });
  const both = { cluster, postgres };
  await cluster.connection.repository.createRepository({ repository });
  const { database } = postgres;
  await database.run(sql`UPDATE repositories SET "primary" = 'gitaly-2', replica_path = '@cluster/x'`);
  await database.run(sql`DELETE FROM storage_repositories WHERE storage = 'gitaly-3'`);
  await database.run(sql`UPDATE storage_repositories SET verified_at = '2026-01-02 03:04:05.678Z'
    WHERE storage = 'gitaly-1'`);

  const shown = await runPraefectProgram(both, 'metadata', ...NAMED);
  assert.equal(
    shown.stdout,
    `Repository ID: 1
Virtual Storage: "default"
Relative Path: "${repository.relativePath}"
Replica Path: "@cluster/x"
Primary: "gitaly-2"
Generation: 0
Replicas:
- Storage: "gitaly-1"
  Assigned: true
  Generation: 0, fully up to date
  Healthy: true
  Valid Primary: true
  Verified At: 2026-01-02 03:04:05.678 +0000 UTC
- Storage: "gitaly-2"
  Assigned: true
  Generation: 0, fully up to date
  Healthy: true
  Valid Primary: true
  Verified At: unverified
- Storage: "gitaly-3"
  Assigned: true
  Generation: replica not yet created
  Healthy: true
  Valid Primary: false
  Verified At: unverified
`,
  );
  const byId = await runPraefect(both, 'metadata', '-repository-id', '1');
  assert.equal(byId.stdout, shown.stdout);
  const unknown = await runPraefect(both, 'metadata', '-repository-id', '2');
  assert.equal(unknown.stderr, 'get metadata: rpc error: code = NotFound desc = repository not found\n');

  const marked = await runPraefect(both, 'verify', '--virtual-storage', 'default', '--storage', 'gitaly-1');
  assert.equal(marked.stdout, '1 replicas marked unverified\n');
  assert.equal(
    (await runPraefect(both, 'verify', '--repository-id=1')).stdout,
    '0 replicas marked unverified\n',
  );

  const assigned = await runPraefect(both, 'set-replication-factor', ...NAMED, '--replication-factor', '1');
  assert.equal(assigned.stdout, 'current assignments: gitaly-2\n');
  const all = await runPraefect(both, 'set-replication-factor', ...NAMED, '--replication-factor', '3');
  assert.equal(all.stdout, 'current assignments: gitaly-1, gitaly-2, gitaly-3\n');
  const fewer = await runPraefect(both, 'set-replication-factor', ...NAMED, '--replication-factor', '2');
  assert.match(fewer.stdout, /^current assignments: .*gitaly-2/);
  for (const [factor, text] of [
    ['0', 'attempted to set replication factor 0 but minimum is 1'],
    ['4', 'attempted to set replication factor 4 but virtual storage only contains 3 storages'],
  ] as const) {
    const refused = await runPraefect(
      both,
      'set-replication-factor',
      ...NAMED,
      '--replication-factor',
      factor,
    );
    const prefix = 'rpc error: code = InvalidArgument desc = set replication factor: ';
    assert.equal(refused.stderr, `${prefix}${text}\n`);
  }
});

test('wrong options of the commands are explained', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  const cluster = { address: `unix:${directory}/none`, nodes: [{ address: 'unix:/none' }] };
  const nowhere = { cluster, postgres };
  for (const [args, text] of [
    [['metadata'], 'repository ID or virtual storage and relative path required'],
    [['metadata', '--virtual-storage', 'x'], 'relative path is required with virtual storage'],
    [['metadata', '--relative-path', 'x'], 'virtual storage is required with relative path'],
    [
      ['metadata', '--repository-id', '1', '--relative-path', 'x'],
      "virtual storage and relative path can't be provided with a repository ID",
    ],
    [['verify'], '(repository id), (virtual storage) or (virtual storage, storage) required'],
    [['verify', '--storage', 'x'], 'virtual storage must be passed with storage'],
    [
      ['accept-dataloss', '--relative-path', 'x'],
      'Required flags "virtual-storage, authoritative-storage" not set',
    ],
    [['dataloss', 'x'], "dataloss doesn't accept positional arguments"],
  ] as const) {
    const { stderr, code } = await runPraefect(nowhere, ...args);
    assert.equal(stderr, `${text}\n`);
    assert.equal(code, 1);
  }
  const unreachable = await runPraefect(nowhere, 'dataloss');
  assert.match(
    unreachable.stderr,
    /^error checking: rpc error: code = Unavailable desc = connection error: /,
  );
  assert.equal(unreachable.stdout, '');
});

test('check and dial-nodes tell what is wrong', { skip }, async () => {
  await using postgres = await startPostgres();
  await using cluster = await startCluster({ database: postgres, nodes: 2 });
  const both = { cluster, postgres };
  const [one, two] = cluster.nodes.map(({ address }) => address);
  const good = await runPraefect(both, 'check', '-q');
  assert.equal(
    good.stdout,
    `Checking praefect migrations...Passed
Checking gitaly node connectivity & disk access...Passed
Checking database read/write...Passed
Checking unavailable repositories...Passed

All checks passed.
`,
  );
  const { Result: ready } = await cluster.connection.server.readinessCheck({});
  assert.equal(ready.case, 'okResponse');
  const { database } = postgres;
  assert.deepEqual(await database.rows(sql`SELECT id FROM hello_world`), [{ id: 1 }], 'nothing was written');

  await database.run(sql`INSERT INTO repositories VALUES ('default', 'x.git', 0, NULL, 1, 'x')`);
  const warned = await runPraefect(both, 'check');
  assert.ok(
    warned.stdout.endsWith(`virtual-storage "default" has 1 repository that is unavailable.
Failed (warning) error: repositories unavailable

1 check(s) failed, but none are fatal.
`),
  );
  assert.equal(warned.code, 0);
  await cluster.stopNode(2);
  await database.run(sql`DELETE FROM schema_migrations WHERE id LIKE '2026%'`);
  const failed = await runPraefectProgram(both, 'check', '-q');
  assert.match(failed.stdout, /Checking praefect migrations...Failed \(fatal\) error: 1 migrations have not/);
  assert.match(failed.stdout, /\n3 check\(s\) failed, at least one was fatal.\n$/);
  assert.equal(failed.stderr, 'checks failed\n');
  assert.equal(failed.code, 1);
  const { Result: notReady } = await cluster.connection.server.readinessCheck({});
  assert.equal(notReady.case, 'failureResponse');
  assert.deepEqual(
    notReady.case === 'failureResponse' && notReady.value.failedChecks.map(({ name }) => name),
    ['gitaly node connectivity & disk access', 'praefect migrations', 'unavailable repositories'],
  );

  const dialed = await runPraefect(both, 'dial-nodes', '-timeout', '2s');
  assert.deepEqual(
    dialed.stdout.split('\n').filter((line) => line.startsWith(`[${one}]`)),
    [
      'dialing...',
      'dialed successfully!',
      'checking health...',
      'SUCCESS: node is healthy!',
      'checking consistency...',
      'SUCCESS: confirmed Gitaly storage "gitaly-1" in virtual storages [default] is served',
      'SUCCESS: node configuration is consistent!',
    ].map((text) => `[${one}]: ${text}`),
  );
  assert.equal(dialed.stderr, `the following nodes are not healthy: ${two}\n`);
  assert.equal(dialed.code, 1);
});
