import { waitAtMost } from '#base/async/wait-at-most';
import { messageOf, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { PraefectConfig } from '../config/schema.ts';
import type { Database } from '../database/database.ts';
import { pingNodes } from './ping-nodes.ts';

/** Means and limits of a check. */
export interface PraefectCheckOptions {
  readonly config: PraefectConfig;
  /** Opens the database, which its caller closes. */
  readonly openDatabase: () => Promise<Database>;
  /** Receives the facts that a check found. */
  readonly print: (line: string) => void;
  readonly timeoutMs: number;
}

/** A check of the cluster, in the order in which they are made. */
export interface Check {
  readonly name: string;
  readonly description: string;
  readonly severity: 'fatal' | 'warning';
  /** @throws {Error} the reason of the failure. */
  run(options: PraefectCheckOptions): Promise<void>;
}

export const checks: readonly Check[] = [
  {
    name: 'praefect migrations',
    description: 'confirms whether or not all praefect migrations have run',
    severity: 'fatal',
    async run({ openDatabase }) {
      const { pendingMigrations } = await import('../database/migrations/migrate.ts');
      await using database = await openDatabase();
      const { length } = await pendingMigrations(database);
      if (length > 0) throw new Error(`${length} migrations have not been run: run praefect sql-migrate`);
    },
  },
  {
    name: 'gitaly node connectivity & disk access',
    description:
      'confirms if praefect can reach all of its gitaly nodes, and whether or not the gitaly nodes can ' +
      'read/write from and to its storages.',
    severity: 'fatal',
    run: ({ config, print, timeoutMs }) => pingNodes(config, { print, timeoutMs }),
  },
  {
    name: 'database read/write',
    description: 'checks if praefect can write/read to and from the database',
    severity: 'fatal',
    async run({ openDatabase, print }) {
      const { sql } = await import('../database/database.ts');
      await using database = await openDatabase().catch(wrapped('error opening database connection'));
      await database.checkVersion();
      const undo = new Error('only a test');
      await database
        .transaction(async (executor) => {
          await sql`SELECT id FROM hello_world LIMIT 1`
            .execute(executor)
            .catch(wrapped('error reading from table'));
          print('successfully read from database');
          await sql`INSERT INTO hello_world (id) VALUES (1)`
            .execute(executor)
            .catch(wrapped('error writing to table'));
          print('successfully wrote to database');
          throw undo;
        })
        .catch((error: unknown) => {
          if (error !== undo) throw error;
        });
    },
  },
  {
    name: 'unavailable repositories',
    description: 'lists repositories that are missing a valid primary, hence rendering them unavailable',
    severity: 'warning',
    async run({ config, openDatabase, print, timeoutMs }) {
      const { Availability } = await import('../store/availability.ts');
      await using database = await openDatabase().catch(wrapped('error opening database connection'));
      const storages = new Map(
        config.virtualStorage.map(({ name, node }) => [name, node.map(({ storage }) => storage)]),
      );
      const unavailable = await new Availability(database, storages).countUnavailable(timeoutMs);
      if (unavailable.size === 0) {
        print('All repositories are available.');
        return;
      }
      for (const [name, count] of unavailable) {
        const noun = count === 1 ? 'repository that is' : 'repositories that are';
        print(`virtual-storage ${quote(name)} has ${count} ${noun} unavailable.`);
      }
      throw new Error('repositories unavailable');
    },
  },
];

/** Runs all checks at the same time. Returns the reasons of those that failed, by name. */
export async function failedChecks(options: PraefectCheckOptions): Promise<ReadonlyMap<string, string>> {
  const failures = await Promise.all(
    checks.map(async ({ name, run }) => {
      const reason = await limited(run(options), options.timeoutMs).then(() => undefined, messageOf);
      return reason === undefined ? [] : [[name, reason] as const];
    }),
  );
  return new Map(failures.flat().toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** @throws {Error} `context deadline exceeded` when the work takes longer. */
export async function limited(work: Promise<void>, timeoutMs: number): Promise<void> {
  await waitAtMost(work, timeoutMs, () => {
    throw new Error('context deadline exceeded');
  });
}
