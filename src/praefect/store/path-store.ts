import { GitalyError } from '#base/gitaly-error';
import type { Database } from '../database/database.ts';
import { PostgresStore } from './postgres-store.ts';
import { groupsOf, type RecordedWrite } from './replica-store.ts';
import { RepositoryLookups } from './repository-lookups.ts';

/**
 * Repositories in PostgreSQL whose primary is that of their virtual storage (strategy `sql`). A
 * repository that is on the primary without a record gets the record with its first write.
 */
export class PathStore extends PostgresStore {
  protected override readonly recordsPrimary = false;
  readonly #lookups: RepositoryLookups;

  constructor(database: Database) {
    super(database);
    this.#lookups = new RepositoryLookups(database);
  }

  override async recordWrite(write: RecordedWrite): Promise<readonly string[]> {
    const recorded = (await this.#recordIfKnown(write)) ?? (await this.#recordFirst(write));
    // If it is `undefined`, another first write came between.
    return recorded ?? (await this.#recordIfKnown(write)) ?? [];
  }

  async #recordIfKnown(write: RecordedWrite): Promise<readonly string[] | undefined> {
    const found = await this.#lookups.writeFacts(write.repository);
    return found && (await super.recordWrite({ ...write, repositoryId: found.repositoryId }));
  }

  async #recordFirst(write: RecordedWrite): Promise<readonly string[] | undefined> {
    const [[primary = write.primary, ...updated] = []] = groupsOf(write);
    try {
      await this.recordCreation({
        ...write,
        primary,
        updated,
        replicaPath: write.repository.relativePath,
        isAssigned: false,
      });
      return [primary, ...updated];
    } catch (error) {
      if (error instanceof GitalyError && error.code === 'ALREADY_EXISTS') return undefined;
      throw error;
    }
  }
}
