import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Database, sql } from '#praefect/database/database';
import { removeEmbeddedPostgres, startEmbeddedPostgres } from '#praefect/database/embedded-postgres';
import { findPostgres, NO_POSTGRES } from '#praefect/database/find-postgres';
import { applyAllMigrations, migrations } from '#praefect/database/migrations/migrate';
import { type CachedDirectory, cachedDirectory } from './cached-directory.ts';
import { run } from './run-program.ts';
import { makeScratchDirectory } from './scratch-directory.ts';

/** Database with all migrations; `postgres` is empty. */
export const MIGRATED = 'migrated';
/**
 * Fills `data` with a copy of the data of a new PostgreSQL server with the databases `postgres` and
 * {@link MIGRATED}. `initdb` and the migrations, which take a second of CPU time, run once for each
 * version of both.
 */
export async function copyPostgresTemplate(data: string): Promise<void> {
  const programs = findPostgres();
  if (programs === undefined) throw new Error(NO_POSTGRES);
  const template = templates.get(programs) ?? findTemplate(programs);
  templates.set(programs, template);
  await copy(await template, data);
}

/** Version of a template's contents. Increase it when {@link makeTemplate} changes. */
const FORMAT = 3;

/** Directories of templates by the directory of PostgreSQL's programs. */
const templates = new Map<string, Promise<string>>();

async function findTemplate(programs: string): Promise<string> {
  const { stdout: version } = await run(join(programs, 'postgres'), ['--version']);
  const template = cachedDirectory('postgres', [FORMAT, migrations, version, process.getuid?.()]);
  if (!existsSync(template.path)) await makeTemplate(template, programs);
  return template.path;
}

/** Copies a tree with owner, modes and times: for root, the server runs as another user. */
async function copy(from: string, to: string): Promise<void> {
  const { code, stderr } = await run('cp', ['-a', from, to]);
  if (code !== 0) throw new Error(`cp: ${stderr}`);
}

/** Makes the write-ahead log start with 1 MiB instead of 16, where the program for it is installed. */
function shortenLog(data: string, programs: string): void {
  const program = join(programs, 'pg_resetwal');
  if (!existsSync(program)) return;
  const { gid, uid } = statSync(data);
  execFileSync(program, ['--wal-segsize=1', data], { uid, gid, cwd: '/', stdio: 'ignore' });
}

async function makeTemplate(template: CachedDirectory, programs: string): Promise<void> {
  const directory = makeScratchDirectory('pg');
  const server = await startEmbeddedPostgres({ directory, isDurable: false, programs });
  try {
    const { host, user } = server;
    const settings = { host, user, ssl: false, mayFallBack: false } as const;
    await using administration = await Database.open({ ...settings, database: 'postgres' });
    await administration.run(sql`CREATE DATABASE ${sql.id(MIGRATED)}`);
    // This saves a seventh of what each test copies. To create another database, name `template0`.
    await administration.run(sql`ALTER DATABASE template1 IS_TEMPLATE false`);
    await administration.run(sql`DROP DATABASE template1`);
    await using database = await Database.open({ ...settings, database: MIGRATED });
    await applyAllMigrations(database);
  } finally {
    await server[Symbol.asyncDispose]();
  }
  shortenLog(join(directory, 'data'), programs);
  try {
    await copy(join(directory, 'data'), template.draft);
    template.keep();
  } finally {
    await removeEmbeddedPostgres(server, directory);
  }
}
