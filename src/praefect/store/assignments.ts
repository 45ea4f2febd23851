import { invalidArgument } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { shuffled } from '#base/shuffled';
import { type Database, sql } from '../database/database.ts';
import type { RepositoryKey } from '../model/repository-key.ts';
import { cancelRemovals } from './cancel-removals.ts';

/** Assigns nodes to repositories. */
export class Assignments {
  readonly #database: Database;
  readonly #configured: ReadonlyMap<string, readonly string[]>;

  /** @param configured storages by virtual storage. */
  constructor(database: Database, configured: ReadonlyMap<string, readonly string[]>) {
    this.#database = database;
    this.#configured = configured;
  }

  /**
   * Assigns as many nodes as the replication factor: adds random ones, the primary first, or
   * removes random ones, never the primary. Without a primary it removes none. Nodes that are not
   * configured do not count and stay.
   *
   * @returns the assigned storages, sorted.
   * @throws {GitalyError} INVALID_ARGUMENT
   */
  async setReplicationFactor(repository: RepositoryKey, factor: number): Promise<readonly string[]> {
    const { relativePath, virtualStorage } = repository;
    const configured = this.#configured.get(virtualStorage);
    if (configured === undefined) throw invalidArgument(`virtual storage ${quote(virtualStorage)} not found`);
    if (factor < 1) throw invalidArgument(`attempted to set replication factor ${factor} but minimum is 1`);
    if (factor > configured.length)
      throw invalidArgument(
        `attempted to set replication factor ${factor} but virtual storage only contains ` +
          `${configured.length} storages`,
      );
    return await this.#database.transaction(async (executor) => {
      // The lock of this row makes concurrent changes wait.
      const found = await sql<{ id: number; primary: string | null }>`
        SELECT repository_id AS id, "primary" FROM repositories
        WHERE virtual_storage = ${virtualStorage} AND relative_path = ${relativePath}
        FOR UPDATE`.execute(executor);
      const [row] = found.rows;
      if (row === undefined)
        throw invalidArgument(`repository ${quote(virtualStorage)}/${quote(relativePath)} not found`);
      const { rows } = await sql<{ storage: string }>`
        SELECT storage FROM repository_assignments WHERE repository_id = ${row.id}`.execute(executor);
      const before = rows.map(({ storage }) => storage).filter((storage) => configured.includes(storage));
      const after = changed(before, { configured, primary: row.primary ?? undefined, factor });
      const added = after.filter((storage) => !before.includes(storage));
      const removed = before.filter((storage) => !after.includes(storage));
      await sql`INSERT INTO repository_assignments (virtual_storage, relative_path, storage, repository_id)
        SELECT ${virtualStorage}, ${relativePath}, storage, ${row.id}::bigint
        FROM unnest(${added}::text[]) AS new(storage)`.execute(executor);
      await sql`DELETE FROM repository_assignments
        WHERE repository_id = ${row.id} AND storage = ANY (${removed}::text[])`.execute(executor);
      await cancelRemovals(row.id, added).execute(executor);
      return after.toSorted();
    });
  }
}

/** Returns the assigned storages after a change of the replication factor. */
function changed(
  before: readonly string[],
  {
    configured,
    factor,
    primary,
  }: { configured: readonly string[]; factor: number; primary: string | undefined },
): readonly string[] {
  const primaryFirst = (storages: readonly string[]): readonly string[] =>
    shuffled(storages).sort((a, b) => Number(b === primary) - Number(a === primary));
  if (before.length >= factor) return primary === undefined ? before : primaryFirst(before).slice(0, factor);
  const candidates = configured.filter((storage) => !before.includes(storage));
  return [...before, ...primaryFirst(candidates).slice(0, factor - before.length)];
}
