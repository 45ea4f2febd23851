import { Database, sql } from '#praefect/database/database';
import { applyAllMigrations } from '#praefect/database/migrations/migrate';
import type { TestDatabase } from '#testkit/servers/start-postgres';

/** A migrated database without connections, from which each cluster's is made. */
const TEMPLATE = 'contract_template';
const settings = { ssl: false, mayFallBack: false } as const;
let count = 0;

/** The database of one cluster. Disposing removes it. */
export interface ContractDatabase extends AsyncDisposable {
  readonly database: Database;
  /** Keys of `[database]`. */
  readonly config: { readonly host: string; readonly user: string; readonly dbname: string };
}

/** Prepares a PostgreSQL for {@link createDatabase}. */
export async function makeTemplate({ config: { host, user }, database }: TestDatabase): Promise<void> {
  await database.run(sql`CREATE DATABASE ${sql.id(TEMPLATE)} TEMPLATE template0`);
  await using template = await Database.open({ ...settings, host, user, database: TEMPLATE });
  await applyAllMigrations(template);
}

/** @param server `host user` of the PostgreSQL that contract.test.ts has started. */
export async function createDatabase(server: string): Promise<ContractDatabase> {
  const [host = '', user = ''] = server.split(' ');
  const dbname = `contract_${process.pid}_${++count}`;
  await using building = new AsyncDisposableStack();
  const administration = building.use(await Database.open({ ...settings, host, user, database: 'postgres' }));
  await administration.run(sql`CREATE DATABASE ${sql.id(dbname)} TEMPLATE ${sql.id(TEMPLATE)}`);
  building.defer(async () => {
    await administration.run(sql`DROP DATABASE ${sql.id(dbname)} WITH (FORCE)`);
  });
  const database = building.use(await Database.open({ ...settings, host, user, database: dbname }));
  const resources = building.move();
  return {
    database,
    config: { host, user, dbname },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
