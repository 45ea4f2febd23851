import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Database, sql } from '#praefect/database/database';
import {
  type EmbeddedPostgres,
  removeEmbeddedPostgres,
  startEmbeddedPostgres,
} from '#praefect/database/embedded-postgres';
import { findPostgres, NO_POSTGRES } from '#praefect/database/find-postgres';
import { applyAllMigrations, migrations } from '#praefect/database/migrations/migrate';
import { type CachedDirectory, cachedDirectory } from '../cached-directory.ts';
import { run } from '../run-program.ts';
import { makeScratchDirectory } from '../scratch-directory.ts';

/** Database of a server that the environment names. Everything in it is removed. */
const TEST_DATABASE = 'praefect_test';
const { GITALY_PRAEFECT_WITH_DB = '', PGHOST = '', PGUSER = '' } = process.env;
const usesEnvironment = GITALY_PRAEFECT_WITH_DB !== '';

/** Option of `test`: the reason for skipping tests of a database, or `false`. */
export const withoutPostgres: string | false =
  usesEnvironment || findPostgres() !== undefined ? false : 'PostgreSQL is not installed';

/** Option of `test` for tests that stop the server. */
export const withoutOwnPostgres: string | false = usesEnvironment
  ? 'the server is not ours'
  : withoutPostgres;

/** An empty database. Disposing stops the server, or removes what was created. */
export interface TestDatabase extends AsyncDisposable {
  readonly database: Database;
  /** Keys of `[database]`. */
  readonly config: { readonly host: string; readonly user: string; readonly dbname: string };
  /** Stops the server, if it was started here. */
  stop(): Promise<void>;
  /** Starts it again with its data. */
  restart(): Promise<void>;
}

/**
 * Starts a PostgreSQL in a temporary directory, or empties `praefect_test` of the server that
 * PGHOST names when GITALY_PRAEFECT_WITH_DB is set.
 *
 * @param options.isMigrated false for a database without tables.
 */
export async function startPostgres({ isMigrated = true } = {}): Promise<TestDatabase> {
  await using building = new AsyncDisposableStack();
  let server: EmbeddedPostgres | undefined;
  let start = async (): Promise<void> => {};
  let config = {
    host: PGHOST,
    user: PGUSER,
    dbname: TEST_DATABASE,
  };
  if (!usesEnvironment) {
    const directory = makeScratchDirectory('pg');
    building.defer(() => rmSync(directory, { recursive: true, force: true }));
    await copyPostgresTemplate(join(directory, 'data'));
    const started = await startEmbeddedPostgres({ directory, isDurable: false });
    server = started;
    start = async () => {
      server = await startEmbeddedPostgres({ directory, isDurable: false });
    };
    building.defer(async () => {
      if (server !== undefined) await removeEmbeddedPostgres(server, directory);
    });
    config = { host: started.host, user: started.user, dbname: isMigrated ? MIGRATED : 'postgres' };
  }
  const { host, user, dbname } = config;
  const database = building.use(
    await Database.open({
      ...(host !== '' && { host }),
      ...(user !== '' && { user }),
      database: dbname,
      ssl: false,
      mayFallBack: false,
    }),
  );
  if (usesEnvironment) {
    await emptyDatabase(database);
    if (isMigrated) await applyAllMigrations(database);
  }
  const resources = building.move();
  return {
    database,
    config,
    stop: async () => await server?.[Symbol.asyncDispose](),
    restart: () => start(),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Removes all tables. */
async function emptyDatabase(database: Database): Promise<void> {
  await database.run(sql`DROP SCHEMA IF EXISTS public CASCADE`);
  await database.run(sql`CREATE SCHEMA public`);
}

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
