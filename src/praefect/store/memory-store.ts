import { GitalyError } from '#base/gitaly-error';
import type { ReplicationJob } from '../model/job.ts';
import type { RepositoryKey } from '../model/repository-key.ts';
import {
  type CopyPlan,
  type CreatedRepository,
  groupsOf,
  type RecordedWrite,
  type ReplicaStore,
} from './replica-store.ts';
import type { RepositoryRecord, RepositoryRecords } from './repository-records.ts';

/** The replicas of a repository that are up to date, and those that are not. */
interface Entry {
  generation: number;
  /** Generation by storage. */
  readonly replicas: Map<string, number>;
}

/**
 * Remembers which replicas of which repository are up to date, for as long as the process runs.
 * Repositories without an entry were there before: all their replicas count as up to date.
 */
export class MemoryStore implements ReplicaStore {
  readonly #entries = new Map<string, Entry>();
  /**
   * The highest generation so far. A new entry starts above it: a copy that began before its
   * repository was made anew records a generation of the former one.
   */
  #highest = -1;

  /** Storages whose replica is up to date; `undefined` without an entry. */
  consistentStorages(repository: RepositoryKey): ReadonlySet<string> | undefined {
    const entry = this.#entry(repository);
    if (entry === undefined) return undefined;
    const current = [...entry.replicas].filter(([, generation]) => generation === entry.generation);
    return new Set(current.map(([storage]) => storage));
  }

  /** Returns the view of a router. Repositories have the clients' paths, and no ids. */
  records(): RepositoryRecords {
    const find = async (repository: RepositoryKey): Promise<RepositoryRecord | undefined> => {
      const storages = this.consistentStorages(repository);
      return storages && { storages, repositoryId: 0, replicaPath: repository.relativePath };
    };
    return {
      forRead: find,
      forWrite: find,
      // The nodes know it: a call that creates a repository fails there if the repository exists.
      replicaPath: async () => undefined,
      reserveId: async () => 0,
      trustsUnknown: true,
    };
  }

  async recordCreation({ repository, primary, updated }: CreatedRepository): Promise<void> {
    this.#entries.set(repositoryKey(repository), this.#newEntry([primary, ...updated]));
  }

  async recordWrite(write: RecordedWrite): Promise<readonly string[]> {
    const { outdated, repository } = write;
    const groups = groupsOf(write);
    const entry = this.#entry(repository) ?? this.#newEntry([...groups.flat(), ...outdated]);
    const isCurrent = (storage: string): boolean => entry.replicas.get(storage) === entry.generation;
    const current = groups.map((group) => group.filter(isCurrent)).find((group) => group.length > 0);
    if (current === undefined) throw new GitalyError('INTERNAL', 'write to outdated nodes');
    entry.generation++;
    this.#highest = Math.max(this.#highest, entry.generation);
    for (const storage of current) entry.replicas.set(storage, entry.generation);
    this.#entries.set(repositoryKey(repository), entry);
    return current;
  }

  async recordRemoval(repository: RepositoryKey): Promise<void> {
    this.#entries.delete(repositoryKey(repository));
  }

  async planCopy(job: ReplicationJob): Promise<CopyPlan> {
    const generation = (storage: string): number => this.#entry(job)?.replicas.get(storage) ?? -1;
    return {
      source: generation(job.source),
      target: generation(job.target),
      replicaPath: job.relativePath,
    };
  }

  async recordCopy(job: ReplicationJob, generation: number): Promise<void> {
    const replicas = this.#entry(job)?.replicas;
    replicas?.set(job.target, Math.max(replicas.get(job.target) ?? -1, generation));
  }

  async removeReplica(job: ReplicationJob): Promise<boolean> {
    return this.#entry(job)?.replicas.delete(job.target) ?? false;
  }

  /**
   * All nodes are assigned. The replica of a removed repository has no record, unless another one
   * was made at its path since.
   */
  async releaseReplica(job: ReplicationJob): Promise<boolean> {
    return job.change === 'delete' && this.#entry(job)?.replicas.has(job.target) !== true;
  }

  async removeInvalidSource(job: ReplicationJob): Promise<void> {
    this.#entry(job)?.replicas.delete(job.source);
  }

  #newEntry(storages: readonly string[]): Entry {
    const generation = ++this.#highest;
    return { generation, replicas: new Map(storages.map((storage) => [storage, generation])) };
  }

  #entry(repository: RepositoryKey): Entry | undefined {
    return this.#entries.get(repositoryKey(repository));
  }
}

function repositoryKey({ virtualStorage, relativePath }: RepositoryKey): string {
  return `${virtualStorage}\0${relativePath}`;
}
