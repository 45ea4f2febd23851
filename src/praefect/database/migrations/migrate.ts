import { type Database, sql } from '../database.ts';
import type { Migration } from './migration.ts';
import { steps2020 } from './steps-2020.ts';
import { steps2021 } from './steps-2021.ts';
import { stepsSince2022 } from './steps-since-2022.ts';

/** All steps of the schema, in order. */
export const migrations: readonly Migration[] = [...steps2020, ...steps2021, ...stepsSince2022];

/** A step that was applied, or that this version has. */
export interface MigrationStatus {
  readonly id: string;
  /** `undefined` if it was not applied. */
  readonly appliedAt: Date | undefined;
  /** False for a step of another version. */
  readonly isKnown: boolean;
}

/** Returns all steps of this version and all applied ones, sorted by id. */
export async function migrationStatus(database: Database): Promise<readonly MigrationStatus[]> {
  await database.run(sql`CREATE TABLE IF NOT EXISTS schema_migrations (
    id text PRIMARY KEY,
    applied_at timestamptz
  )`);
  const rows = await database.rows(sql<{ id: string; applied_at: Date | null }>`
    SELECT id, applied_at FROM schema_migrations`);
  const applied = new Map(rows.map((row) => [row.id, row.applied_at ?? undefined]));
  const known = new Set(migrations.map(({ id }) => id));
  return [...new Set([...known, ...applied.keys()])]
    .sort()
    .map((id) => ({ id, appliedAt: applied.get(id), isKnown: known.has(id) }));
}

/** Returns the steps that are not applied. */
export async function pendingMigrations(database: Database): Promise<readonly Migration[]> {
  const applied = await appliedIds(database);
  return migrations.filter(({ id }) => !applied.has(id));
}

/**
 * Applies one step.
 *
 * @param ignoreUnknown accepts a database that has steps of other versions.
 * @returns whether it was applied now; false if another process was faster.
 */
export async function applyMigration(
  database: Database,
  migration: Migration,
  { ignoreUnknown }: { ignoreUnknown: boolean },
): Promise<boolean> {
  const applied = await appliedIds(database);
  if (!ignoreUnknown) refuseUnknown(applied);
  if (applied.has(migration.id)) return false;
  await execute(database, {
    statements: migration.up,
    isTransactional: migration.isTransactional ?? true,
    record: sql`INSERT INTO schema_migrations (id, applied_at) VALUES (${migration.id}, now())`,
  });
  return true;
}

/** Applies all missing steps and returns their number. */
export async function applyAllMigrations(database: Database): Promise<number> {
  const pending = await pendingMigrations(database);
  for (const migration of pending) await applyMigration(database, migration, { ignoreUnknown: true });
  return pending.length;
}

/**
 * Returns the last applied steps, last first.
 *
 * @throws {Error} for a step of another version.
 */
export async function migrationsToRevert(database: Database, count: number): Promise<readonly Migration[]> {
  const applied = await appliedIds(database);
  refuseUnknown(applied);
  return migrations
    .filter(({ id }) => applied.has(id))
    .reverse()
    .slice(0, count);
}

/** Reverts one step. */
export async function revertMigration(database: Database, { id, down }: Migration): Promise<void> {
  const record = sql`DELETE FROM schema_migrations WHERE id = ${id}`;
  await execute(database, { statements: down, isTransactional: true, record });
}

async function appliedIds(database: Database): Promise<ReadonlySet<string>> {
  const status = await migrationStatus(database);
  return new Set(status.filter(({ appliedAt }) => appliedAt !== undefined).map(({ id }) => id));
}

function refuseUnknown(applied: ReadonlySet<string>): void {
  const known = new Set(migrations.map(({ id }) => id));
  const unknown = [...applied].find((id) => !known.has(id));
  if (unknown !== undefined)
    throw new Error(`Unable to create migration plan because of ${unknown}: unknown migration in database`);
}

interface Step {
  readonly statements: readonly string[];
  readonly isTransactional: boolean;
  readonly record: ReturnType<typeof sql>;
}

async function execute(database: Database, { statements, isTransactional, record }: Step): Promise<void> {
  if (!isTransactional) {
    for (const statement of statements) await database.run(sql.raw(statement));
    await database.run(record);
    return;
  }
  await database.transaction(async (executor) => {
    for (const statement of statements) await sql.raw(statement).execute(executor);
    await record.execute(executor);
  });
}
