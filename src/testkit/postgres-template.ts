import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Database, sql } from '#praefect/database/database';
import { removeEmbeddedPostgres, startEmbeddedPostgres } from '#praefect/database/embedded-postgres';
import { findPostgres, NO_POSTGRES } from '#praefect/database/find-postgres';
import { applyAllMigrations, migrations } from '#praefect/database/migrations/migrate';
import { run } from './run-program.ts';
import { makeScratchDirectory } from './scratch-directory.ts';

/** Database with all migrations; `postgres` is empty. */
export const MIGRATED = 'migrated';
/** Not under version control. */
const CACHE = join(import.meta.dirname, '../../.cache');

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

/** Directories of templates by the directory of PostgreSQL's programs. */
const templates = new Map<string, Promise<string>>();

async function findTemplate(programs: string): Promise<string> {
  const { stdout: version } = await run(join(programs, 'postgres'), ['--version']);
  const facts = JSON.stringify([migrations, version, process.getuid?.()]);
  const template = join(CACHE, `postgres-${createHash('sha1').update(facts).digest('hex').slice(0, 12)}`);
  if (!existsSync(template)) await makeTemplate(template, programs);
  return template;
}

/** With owner, modes and times: as root, the server runs as another user. */
async function copy(from: string, to: string): Promise<void> {
  const { code, stderr } = await run('cp', ['-a', from, to]);
  if (code !== 0) throw new Error(`cp: ${stderr}`);
}

/** Makes the template, and removes those of other versions. */
async function makeTemplate(template: string, programs: string): Promise<void> {
  const directory = makeScratchDirectory('pg');
  const server = await startEmbeddedPostgres({ directory, isDurable: false, programs });
  const draft = `${template}.${process.pid}`;
  try {
    const { host, user } = server;
    const settings = { host, user, ssl: false, mayFallBack: false } as const;
    await using administration = await Database.open({ ...settings, database: 'postgres' });
    await administration.run(sql`CREATE DATABASE ${sql.id(MIGRATED)}`);
    await using database = await Database.open({ ...settings, database: MIGRATED });
    await applyAllMigrations(database);
  } finally {
    await server[Symbol.asyncDispose]();
  }
  try {
    for (const old of globSync(join(CACHE, 'postgres-*'))) rmSync(old, { recursive: true, force: true });
    mkdirSync(CACHE, { recursive: true });
    await copy(join(directory, 'data'), draft);
    if (!existsSync(template)) renameSync(draft, template);
  } finally {
    rmSync(draft, { recursive: true, force: true });
    await removeEmbeddedPostgres(server, directory);
  }
}
