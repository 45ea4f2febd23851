import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Repository } from '#storage/repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { Housekeeping } from '../housekeeping/housekeeping.ts';
import { MaintenanceRuns } from '../housekeeping/maintenance-runs.ts';
import { createPool } from './create-pool.ts';
import { fetchIntoPool } from './fetch-into-pool.ts';

const POOL = { storageName: 'default', relativePath: `@pools/4e/07/4e07${'0'.repeat(60)}.git` };
const { signal } = new AbortController();

/** Starts with a pool of a repository that has one commit more. */
async function start() {
  const fixture = await StorageFixture.create();
  const origin = fixture.init('origin.git', { commits: 1 });
  await createPool(fixture.storages, POOL, origin.target, { signal });
  const pool = fixture.storages.open(POOL);
  const tip = fixture.commit(origin.path, 2);
  const housekeeping = new Housekeeping(new MaintenanceRuns());
  const fetch = () =>
    fetchIntoPool(pool, origin, { housekeeping, hooks: undefined, vote: undefined, signal });
  return { fixture, origin, pool, tip, fetch };
}

type Situation = (pool: Repository, origin: Repository, fixture: StorageFixture) => void;

const FAILURES: readonly { readonly message: RegExp; readonly make: Situation }[] = [
  {
    message: /^cleaning stale data: housekeeping could not perform cleanup .*configkeys: unsetting /,
    make: ({ path }) => rmSync(`${path}/config`),
  },
  {
    message: /^pruning references: exit status 128$/,
    make: (_pool, { path }) => rmSync(path, { recursive: true }),
  },
  {
    message: /^fetch into object pool: exit status \d+, stderr: "error: cannot lock ref /,
    make: ({ path }) => {
      mkdirSync(`${path}/refs/remotes/origin/heads`, { recursive: true });
      writeFileSync(`${path}/refs/remotes/origin/heads/main.lock`, '');
    },
  },
  {
    message: /^rescuing dangling objects: /,
    make: ({ path }, _origin, fixture) => {
      const oid = fixture.runGit(path, ['hash-object', '-w', '--stdin'], 'dangling');
      mkdirSync(`${path}/refs/dangling`);
      writeFileSync(`${path}/refs/dangling/${oid}.lock`, '');
    },
  },
];

for (const { message, make } of FAILURES) {
  test(`a fetch into a pool that cannot continue fails with ${message.source}`, async () => {
    const { fixture, origin, pool, fetch } = await start();
    await using _fixture = fixture;
    make(pool, origin, fixture);

    await assert.rejects(fetch(), { code: 'INTERNAL', message });
  });
}

test('a failed fetch has the messages of git as metadata', async () => {
  const { fixture, origin, fetch } = await start();
  await using _fixture = fixture;
  rmSync(origin.path, { recursive: true });

  await assert.rejects(fetch(), ({ metadata }: { metadata: { stderr: string } }) => {
    assert.match(`${metadata.stderr}`, /does not appear to be a git repository/);
    return true;
  });
});

test('a stale branch is replaced by a directory, and objects without references get some', async () => {
  const { fixture, origin, pool, tip, fetch } = await start();
  await using _fixture = fixture;
  const blob = fixture.runGit(pool.path, ['hash-object', '-w', '--stdin'], 'dangling');
  fixture.runGit(pool.path, ['update-ref', 'refs/remotes/origin/heads/a', 'main']);
  fixture.runGit(origin.path, ['update-ref', 'refs/heads/a/b', 'main']);

  await fetch();

  const shown = fixture.runGit(pool.path, ['for-each-ref', '--format=%(refname) %(objectname)']).split('\n');
  assert.deepEqual(
    shown.filter((line) => !line.startsWith('refs/heads/')),
    [
      `refs/dangling/${blob} ${blob}`,
      `refs/remotes/origin/heads/a/b ${tip}`,
      `refs/remotes/origin/heads/main ${tip}`,
    ],
  );
});
