import assert from 'node:assert/strict';
import { chmodSync, cpSync, existsSync, mkdirSync, readlinkSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { Database, sql } from './database.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts';
import { findPostgres } from './find-postgres.ts';
import { findPackagedPostgres } from './packaged-postgres.ts';

const notPackaged = findPackagedPostgres() === undefined && 'embedded-postgres is not for this platform';

async function versionOf({ host, user }: EmbeddedPostgres): Promise<string | undefined> {
  const settings = { host, user, database: 'postgres', ssl: false, mayFallBack: false } as const;
  await using database = await Database.open(settings);
  return (await database.row<{ version: string }>(sql`SELECT version()`))?.version;
}

// Without PostgreSQL on the machine `up --cluster` failed, and tests of praefect were skipped.
test('the PostgreSQL of the npm package starts after an install without scripts', {
  skip: notPackaged,
}, async () => {
  const link = join(dirname(findPackagedPostgres() ?? ''), 'lib/libecpg.so.6'); // no server needs it
  rmSync(link);
  const programs = findPackagedPostgres() ?? '';
  assert.ok(existsSync(link));
  const directory = makeScratchDirectory('packaged-pg');
  try {
    await using server = await startEmbeddedPostgres({ directory, isDurable: false, programs });

    assert.match((await versionOf(server)) ?? '', /^PostgreSQL \d+/);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

// In a clone in /root, `up --cluster` failed with "spawn …/initdb EACCES": PostgreSQL does not run
// as root, and no other user could run the programs.
test('root starts the PostgreSQL of a clone that no other user may enter', {
  skip: notPackaged || (process.getuid?.() !== 0 && 'needs root'),
}, async () => {
  const directory = makeScratchDirectory('private-pg');
  const clone = join(directory, 'clone');
  const data = join(directory, 'data');
  try {
    chmodSync(directory, 0o711);
    mkdirSync(clone, { mode: 0o700 });
    cpSync(join(findPackagedPostgres() ?? '', '../..'), join(clone, 'package'), {
      recursive: true,
      verbatimSymlinks: true,
    });
    const programs = join(clone, 'package/native/bin');
    for (let start = 0; start < 2; start++) {
      await using server = await startEmbeddedPostgres({ directory: data, isDurable: false, programs });

      assert.match((await versionOf(server)) ?? '', /^PostgreSQL \d+/);
      assert.ok(readlinkSync(`/proc/${server.pid}/exe`).startsWith(`${data}/programs-`));
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('GITALY_TS_POSTGRES selects the npm package', { skip: notPackaged }, () => {
  assert.equal(findPostgres({ GITALY_TS_POSTGRES: 'embedded' }), findPackagedPostgres());
});

test('GITALY_TS_POSTGRES selects the programs of a directory', { skip: notPackaged }, () => {
  const directory = findPackagedPostgres() ?? '';

  assert.equal(findPostgres({ GITALY_TS_POSTGRES: directory }), directory);
  assert.throws(
    () => findPostgres({ GITALY_TS_POSTGRES: '/nowhere' }),
    /GITALY_TS_POSTGRES=\/nowhere: there is no initdb in this directory/,
  );
});
