import { prefixed } from '#base/gitaly-error';
import { formatGoDuration } from '#base/go/duration';
import type { PraefectConfig } from '#praefect/config/schema';
import type { Database } from '#praefect/database/database';
import { isSet, type PraefectCommand, type PraefectInput } from './command.ts';

/** Commands on the schema of the database. */
export const sqlCommands: readonly PraefectCommand[] = [
  {
    name: 'sql-ping',
    description: 'Check that the database can be reached.',
    example: 'sql-ping',
    async run({ config, print }) {
      await using database = await openDatabase(config);
      await database.checkVersion().catch(prefixed('praefect sql-ping: fail'));
      print('praefect sql-ping: OK');
      return undefined;
    },
  },
  {
    name: 'sql-migrate',
    description: 'Apply pending database migrations.',
    example: 'sql-migrate',
    options: [
      {
        flags: '--ignore-unknown',
        description: 'ignore applied migrations that this version does not have',
        default: 'true',
      },
      { flags: '--verbose', description: 'print the SQL statements' },
    ],
    async run(input) {
      const { applyMigration, pendingMigrations } = await import('#praefect/database/migrations/migrate');
      const { print } = input;
      await using database = await openDatabase(input.config);
      await database.checkVersion();
      const pending = await pendingMigrations(database);
      if (pending.length === 0) {
        print('praefect sql-migrate: all migrations are up');
        return;
      }
      print(`praefect sql-migrate: migrations to apply: ${pending.length}\n`);
      let applied = 0;
      for (const migration of pending) {
        print(`=  ${now()} ${migration.id}: migrating`);
        if (isSet(input, 'verbose')) print(`\t[${migration.up.join(' ')}]`);
        const start = performance.now();
        const ignoreUnknown = isSet(input, 'ignore-unknown');
        const isApplied = await applyMigration(database, migration, { ignoreUnknown }).catch((error) =>
          prefixed(`${now()}: fail`)(error),
        );
        const took = formatGoDuration(performance.now() - start);
        print(`== ${now()} ${migration.id}: ${isApplied ? 'applied' : 'skipped'} (${took})`);
        if (isApplied) applied++;
      }
      print(`\npraefect sql-migrate: OK (applied ${applied} migrations)`);
      return undefined;
    },
  },
  {
    name: 'sql-migrate-status',
    description: 'List the migrations and when each was applied.',
    example: 'sql-migrate-status',
    async run({ config, print }) {
      const { migrationStatus } = await import('#praefect/database/migrations/migrate');
      await using database = await openDatabase(config);
      const rows = (await migrationStatus(database)).map(({ id, appliedAt, isKnown }) => {
        if (!isKnown) return [id, 'unknown migration'];
        return [id, appliedAt === undefined ? 'no' : timeOf(appliedAt)];
      });
      printTable(print, [['MIGRATION', 'APPLIED'], ...rows]);
      return undefined;
    },
  },
  {
    name: 'sql-migrate-down',
    description: 'Revert the most recent database migrations.',
    example: 'sql-migrate-down -f 1',
    argument: 'count',
    options: [{ flags: '-f', description: 'revert them; without this flag they are only listed' }],
    async run(input) {
      const { args, print } = input;
      const [text = ''] = args;
      if (!/^[+-]?\d+$/.test(text))
        throw new Error(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
      const count = Number(text);
      if (count < 1) throw new Error('number of migrations to roll back must be 1 or more');
      const { migrationsToRevert, revertMigration } = await import('#praefect/database/migrations/migrate');
      await using database = await openDatabase(input.config);
      const planned = await migrationsToRevert(database, count);
      if (isSet(input, 'f')) {
        for (const migration of planned) await revertMigration(database, migration);
        print(`OK (applied ${planned.length} "down" migrations)`);
        return;
      }
      print('DRY RUN -- would roll back:\n');
      for (const { id } of planned) print(`- ${id}`);
      print('\nTo apply these migrations run with -f');
      return undefined;
    },
  },
];

/**
 * Connects to the database of a configuration.
 *
 * @throws {Error} `<prefix>: …`
 */
export async function openDatabase({ database }: PraefectConfig, prefix = 'sql open'): Promise<Database> {
  const [{ Database }, { pooledSettings }] = await Promise.all([
    import('#praefect/database/database'),
    import('#praefect/database/connection-settings'),
  ]);
  return await pooledSettings(database)
    .then((settings) => Database.open(settings))
    .catch(prefixed(prefix));
}

function printTable(
  print: PraefectInput['print'],
  [header, ...rows]: readonly [readonly string[], ...(readonly string[])[]],
): void {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const rule = (left: string, middle: string, right: string): string =>
    left + widths.map((width) => '─'.repeat(width + 2)).join(middle) + right;
  const centered = (cell: string, width: number): string =>
    cell.padStart(cell.length + Math.floor((width - cell.length) / 2)).padEnd(width);
  const line = (row: readonly string[], align: typeof centered): string =>
    `│ ${row.map((cell, column) => align(cell, widths[column] ?? 0)).join(' │ ')} │`;
  print(rule('┌', '┬', '┐'));
  print(line(header, centered));
  print(rule('├', '┼', '┤'));
  for (const row of rows) print(line(row, (cell, width) => cell.padEnd(width)));
  print(rule('└', '┴', '┘'));
}

/** The local time to seconds. */
function now(): string {
  const time = new Date();
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** `2026-01-02 03:04:05.678 +0000 UTC` */
function timeOf(time: Date): string {
  return `${time.toISOString().replace('T', ' ').replace('Z', '')} +0000 UTC`;
}
