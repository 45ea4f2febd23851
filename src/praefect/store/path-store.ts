import { GitalyError } from '#base/gitaly-error';
import type { Database } from '../database/database.ts';
import { PostgresStore } from './postgres-store.ts';
import type { RecordedWrite } from './replica-store.ts';
import { RepositoryLookups } from './repository-lookups.ts';

/**
 * Repositories in PostgreSQL whose primary is that of their virtual storage (strategy `sql`). One
 * that was on the primary without a record gets it with its first write.
 */
export class PathStore extends PostgresStore {
  protected override readonly recordsPrimary = false;
  readonly #lookups: RepositoryLookups;

  constructor(database: Database) {
    super(database);
    this.#lookups = new RepositoryLookups(database);
  }

  override async recordWrite(write: RecordedWrite): Promise<void> {
    if (!(await this.#recordIfKnown(write)) && !(await this.#recordFirst(write)))
      await this.#recordIfKnown(write); // another first write came between
  }

  async #recordIfKnown(write: RecordedWrite): Promise<boolean> {
    const found = await this.#lookups.writeFacts(write.repository);
    if (found === undefined) return false;
    await super.recordWrite({ ...write, repositoryId: found.repositoryId });
    return true;
  }

  async #recordFirst(write: RecordedWrite): Promise<boolean> {
    try {
      await this.recordCreation({
        ...write,
        replicaPath: write.repository.relativePath,
        isAssigned: false,
      });
      return true;
    } catch (error) {
      if (error instanceof GitalyError && error.code === 'ALREADY_EXISTS') return false;
      throw error;
    }
  }
}
