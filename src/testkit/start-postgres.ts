import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Database, sql } from '#praefect/database/database';
import {
  type EmbeddedPostgres,
  removeEmbeddedPostgres,
  startEmbeddedPostgres,
} from '#praefect/database/embedded-postgres';
import { findPostgres } from '#praefect/database/find-postgres';
import { applyAllMigrations } from '#praefect/database/migrations/migrate';
import { copyPostgresTemplate, MIGRATED } from './postgres-template.ts';
import { makeScratchDirectory } from './scratch-directory.ts';

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
