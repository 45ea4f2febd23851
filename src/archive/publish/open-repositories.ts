import { BoundedMap } from '#base/memory/bounded-map';
import { ProtocolError } from '#generations/errors';
import { holdPacks } from '#generations/forks';
import { leaseKey } from '#generations/keys';
import { type ArchiveBucket, chainOf } from '../bucket/archive-bucket.ts';
import type { WriterLease } from '../bucket/writer-lease.ts';
import { SETTING } from '../capture/capture-settings.ts';
import { deleteGivenUp, noteGivenUp } from '../maintain/given-up.ts';
import { hasHadName } from '../maintain/idle-repositories.ts';
import type { Retention } from '../maintain/retention.ts';
import { ArchivedRepository } from './archived-repository.ts';

/** Memory of all states together. A larger one is kept while it is used. */
const MAX_BYTES = 8 * 1024 * 1024;
/** Repositories whose creation is interrupted. */
const MAX_UNNAMED = 1000;

export interface OpenRepositoriesOptions {
  readonly bucket: ArchiveBucket;
  readonly writer: WriterLease;
}

/** The open repositories of an archive, by path; those that were used last stay open. */
export class OpenRepositories {
  readonly #options: OpenRepositoriesOptions;
  /** In the order of their last use. */
  readonly #open = new Map<string, ArchivedRepository>();
  /** Those that have no path yet, by the path that they will have. */
  readonly #unnamed = new BoundedMap<string, ArchivedRepository>({ maxEntries: MAX_UNNAMED });
  readonly #opening = new Map<string, Promise<ArchivedRepository | undefined>>();

  constructor(options: OpenRepositoriesOptions) {
    this.#options = options;
  }

  /** Number of open repositories. */
  get size(): number {
    return this.#open.size;
  }

  isOpen(path: string): boolean {
    return this.#open.has(path);
  }

  /** Returns the paths of the open repositories that have changed since their last checkpoint. */
  changed(): string[] {
    return [...this.#open].filter(([, each]) => each.hasChanged).map(([path]) => path);
  }

  /** Returns the archived repository of a path; `undefined` if there is none. @throws {ProtocolError} */
  async get(path: string): Promise<ArchivedRepository | undefined> {
    const open = this.#open.get(path);
    if (open !== undefined) {
      this.#use(path, open);
      return open;
    }
    const opening = this.#opening.get(path) ?? this.#openByPath(path);
    this.#opening.set(path, opening);
    try {
      const opened = await opening;
      // It may have another path, or be removed, since it was looked up.
      if (opened !== undefined && this.#opening.get(path) === opening) this.#use(path, opened);
      return opened;
    } finally {
      if (this.#opening.get(path) === opening) this.#opening.delete(path);
    }
  }

  /**
   * Creates a repository, which has no path until {@link name}. One of an earlier attempt for the
   * path is continued: what it has is not uploaded again.
   */
  async create(path: string, timeMs: number): Promise<ArchivedRepository> {
    const earlier = this.#unnamed.get(path);
    if (earlier !== undefined) return earlier;
    const { bucket } = this.#options;
    const made = new ArchivedRepository({ ...this.#options, id: bucket.environment.random.nonce() });
    await made.create(timeMs);
    this.#unnamed.set(path, made);
    return made;
  }

  /** Keeps repositories from being erased while another one is not, which may use their objects. */
  async hold(ids: readonly string[], { id: fork }: ArchivedRepository): Promise<void> {
    for (const id of ids) await holdPacks(chainOf(this.#options.bucket, id), fork);
  }

  /** Names a repository that was created. @throws {ProtocolError} `exists` */
  async name(path: string, archived: ArchivedRepository): Promise<void> {
    const { bucket } = this.#options;
    try {
      await bucket.paths.create(path, archived.id);
    } catch (error) {
      // Without a response it is named by the next attempt.
      if (!(error instanceof ProtocolError && error.problem === 'exists')) throw error;
      if ((await bucket.paths.resolve(path)) !== archived.id) {
        this.#unnamed.delete(path);
        await noteGivenUp(bucket, archived.id, path); // it is deleted later
        throw error;
      }
    }
    this.#use(path, archived);
  }

  /** Ends a repository and its path. */
  async remove(path: string, archived: ArchivedRepository, timeMs: number): Promise<void> {
    await archived.remove(timeMs);
    this.forget(path);
    await this.#options.bucket.paths.remove(path, archived.id);
  }

  async move(from: string, to: string, archived: ArchivedRepository): Promise<void> {
    await this.#options.bucket.paths.move(from, to, archived.id);
    this.forget(from);
    this.#use(to, archived);
  }

  /** Gives up a chain that cannot be read. */
  async abandon(path: string): Promise<void> {
    const { paths } = this.#options.bucket;
    this.forget(path);
    const id = await paths.resolve(path);
    if (id === undefined) return;
    await noteGivenUp(this.#options.bucket, id, path);
    await paths.remove(path, id);
  }

  /**
   * Gives up a chain without a name, which a server has left that was killed. One of this server
   * may still get its name.
   */
  async abandonUnnamed(id: string): Promise<void> {
    const { bucket, writer } = this.#options;
    const { state } = await chainOf(bucket, id).follow();
    if (state.owner === undefined || writer.lease.isOwner(state.owner)) return;
    if (!(await hasHadName(bucket, id, state)))
      await noteGivenUp(bucket, id, state.settings.get(SETTING.path) ?? '');
  }

  /** Deletes a chain that was given up, after the grace of the collector. @returns whether it did. */
  async deleteGivenUp(id: string): Promise<boolean> {
    const { bucket, writer } = this.#options;
    const lease = await bucket.environment.bucket.get(leaseKey(writer.lease.options.server));
    return lease !== undefined && (await deleteGivenUp(bucket, id, lease.modifiedMs));
  }

  /** Erases a repository that was removed, or continues to. */
  async erase(id: string, retention: Retention): Promise<void> {
    await new ArchivedRepository({ ...this.#options, id }).erase(retention);
  }

  /** Closes a repository. Its state is read again at its next use. */
  forget(path: string): void {
    this.#open.delete(path);
    this.#opening.delete(path);
  }

  async #openByPath(path: string): Promise<ArchivedRepository | undefined> {
    const { paths } = this.#options.bucket;
    const id = await paths.resolve(path);
    if (id === undefined) return undefined;
    const archived = new ArchivedRepository({ ...this.#options, id });
    try {
      await archived.open();
    } catch (error) {
      if (!(error instanceof ProtocolError && error.problem === 'missing')) throw error;
      await paths.remove(path, id); // the server was killed between both ends
      return undefined;
    }
    return archived;
  }

  #use(path: string, archived: ArchivedRepository): void {
    this.#unnamed.delete(path); // the path has a repository
    this.#open.delete(path);
    this.#open.set(path, archived);
    let bytes = 0;
    for (const each of this.#open.values()) bytes += each.bytes;
    for (const [oldest, each] of this.#open) {
      if (bytes <= MAX_BYTES || oldest === path) return;
      bytes -= each.bytes;
      this.#open.delete(oldest);
    }
  }
}
