import { type Executor, sql } from '../database/database.ts';
import type { Move } from './node-events.ts';
import type { NodePosition } from './node-journal.ts';
import type { Values } from './read-references.ts';

export interface ChangedRepository {
  readonly repositoryId: number;
  readonly virtualStorage: string;
  /** The path at the time of the change. */
  readonly relativePath: string;
}

interface NewRow {
  readonly repository: ChangedRepository;
  readonly kind: string;
  readonly previousPath?: string;
  readonly move?: Move;
}

/** Writes events and the state that results from them in one transaction. */
export class EventWriter {
  readonly #executor: Executor;
  readonly #rows: NewRow[] = [];
  #last: number;

  /** @param last sequence of the last event. */
  constructor(executor: Executor, last: number) {
    this.#executor = executor;
    this.#last = last;
  }

  async created(repository: ChangedRepository): Promise<void> {
    const sequence = this.#add({ repository, kind: 'created' });
    await this.#forget(repository);
    await sql`
      INSERT INTO gitalyts_feed_repositories
        (repository_id, virtual_storage, relative_path, created, is_listed)
      VALUES (${repository.repositoryId}, ${repository.virtualStorage}, ${repository.relativePath},
        ${sequence}, true)`.execute(this.#executor);
  }

  async removed(repository: ChangedRepository): Promise<void> {
    this.#add({ repository, kind: 'removed' });
    await this.#forget(repository);
  }

  async renamed(repository: ChangedRepository, previousPath: string): Promise<void> {
    this.#add({ repository, kind: 'renamed', previousPath });
    await sql`UPDATE gitalyts_feed_repositories SET relative_path = ${repository.relativePath}
      WHERE repository_id = ${repository.repositoryId}`.execute(this.#executor);
  }

  /**
   * Adds an event: references may have changed in unknown ways.
   *
   * @param values the values from now on.
   */
  async resync(repository: ChangedRepository, values: Values | undefined): Promise<void> {
    const { relativePath, repositoryId: id, virtualStorage } = repository;
    const sequence = this.#add({ repository, kind: 'resync' });
    const isListed = values !== undefined;
    await sql`DELETE FROM gitalyts_feed_references WHERE repository_id = ${id}`.execute(this.#executor);
    await sql`
      INSERT INTO gitalyts_feed_repositories
        (repository_id, virtual_storage, relative_path, resync, is_listed)
      VALUES (${id}, ${virtualStorage}, ${relativePath}, ${sequence}, ${isListed})
      ON CONFLICT (repository_id)
      DO UPDATE SET resync = excluded.resync, is_listed = excluded.is_listed`.execute(this.#executor);
    const known = [...(values ?? [])].map(([name, value]) => ({ name, value, sequence: 0 }));
    await this.#keep(repository, known);
  }

  /** Adds the events of moved references. */
  async moved(repository: ChangedRepository, moves: readonly Move[]): Promise<void> {
    const results = new Map<string, { value: string | undefined; sequence: number }>();
    for (const move of moves) {
      const sequence = this.#add({ repository, kind: 'reference', move });
      results.set(move.reference, { value: move.newValue, sequence });
    }
    const kept: { name: string; value: string; sequence: number }[] = [];
    const deleted: Buffer[] = [];
    for (const [name, { value, sequence }] of results)
      if (value === undefined) deleted.push(Buffer.from(name, 'latin1'));
      else kept.push({ name, value, sequence });
    if (deleted.length > 0)
      await sql`DELETE FROM gitalyts_feed_references
        WHERE repository_id = ${repository.repositoryId} AND name = ANY (${deleted}::bytea[])`.execute(
        this.#executor,
      );
    await this.#keep(repository, kept);
  }

  /**
   * Stores the position in a node's journal up to which the repository is known; `undefined` stores
   * none.
   */
  async reached(
    { repositoryId }: ChangedRepository,
    { journal, node, sequence }: Partial<NodePosition> = {},
  ): Promise<void> {
    await sql`
      UPDATE gitalyts_feed_repositories
      SET node = ${node ?? null}, node_journal = ${journal ?? null}, node_sequence = ${sequence ?? null}
      WHERE repository_id = ${repositoryId}`.execute(this.#executor);
  }

  /** Writes the events. */
  async end(): Promise<void> {
    const rows = this.#rows;
    if (rows.length === 0) return;
    const first = this.#last - rows.length + 1;
    await sql`
      INSERT INTO gitalyts_feed_events
        (sequence, virtual_storage, kind, relative_path, previous_path, reference, old_value, new_value,
          changed_by)
      SELECT ${first} + place - 1, storage, kind, path, previous, name, was, now, who
      FROM unnest(
        ${rows.map(({ repository }) => repository.virtualStorage)}::text[],
        ${rows.map(({ kind }) => kind)}::text[],
        ${rows.map(({ repository }) => repository.relativePath)}::text[],
        ${rows.map(({ previousPath }) => previousPath ?? null)}::text[],
        ${rows.map(({ move }) => (move ? Buffer.from(move.reference, 'latin1') : null))}::bytea[],
        ${rows.map(({ move }) => move?.oldValue ?? null)}::text[],
        ${rows.map(({ move }) => move?.newValue ?? null)}::text[],
        ${rows.map(({ move }) => (move?.user ? JSON.stringify(move.user) : null))}::text[]
      ) WITH ORDINALITY AS each(storage, kind, path, previous, name, was, now, who, place)`.execute(
      this.#executor,
    );
    await sql`UPDATE gitalyts_feed_state SET last = ${this.#last}`.execute(this.#executor);
  }

  #add(row: NewRow): number {
    this.#rows.push(row);
    this.#last++;
    return this.#last;
  }

  async #forget({ repositoryId }: ChangedRepository): Promise<void> {
    await sql`DELETE FROM gitalyts_feed_repositories WHERE repository_id = ${repositoryId}`.execute(
      this.#executor,
    );
  }

  async #keep(
    { repositoryId }: ChangedRepository,
    references: readonly { readonly name: string; readonly value: string; readonly sequence: number }[],
  ): Promise<void> {
    if (references.length === 0) return;
    await sql`
      INSERT INTO gitalyts_feed_references (repository_id, name, value, sequence)
      SELECT ${repositoryId}::bigint, name, value, sequence
      FROM unnest(
        ${references.map(({ name }) => Buffer.from(name, 'latin1'))}::bytea[],
        ${references.map(({ value }) => value)}::text[],
        ${references.map(({ sequence }) => sequence)}::bigint[]
      ) AS each(name, value, sequence)
      ON CONFLICT (repository_id, name)
      DO UPDATE SET value = excluded.value, sequence = excluded.sequence`.execute(this.#executor);
  }
}
