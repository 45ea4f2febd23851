import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { Database, sql } from './database.ts';
import { startEmbeddedPostgres } from './embedded-postgres.ts';
import { findPackagedPostgres } from './find-postgres.ts';

// Without PostgreSQL on the machine `up --cluster` failed, and tests of praefect were skipped.
test('the PostgreSQL of the npm package starts after an install without scripts', {
  skip: findPackagedPostgres() === undefined && 'embedded-postgres is not for this platform',
}, async () => {
  const link = join(dirname(findPackagedPostgres() ?? ''), 'lib/libecpg.so.6'); // no server needs it
  rmSync(link);
  const programs = findPackagedPostgres() ?? '';
  assert.ok(existsSync(link));
  const directory = makeScratchDirectory('packaged-pg');
  try {
    await using server = await startEmbeddedPostgres({ directory, isDurable: false, programs });
    const { host, user } = server;
    const settings = { host, user, database: 'postgres', ssl: false, mayFallBack: false } as const;
    await using database = await Database.open(settings);

    const row = await database.row<{ version: string }>(sql`SELECT version()`);

    assert.match(row?.version ?? '', /^PostgreSQL \d+/);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
