import { availableParallelism } from 'node:os';
import type { Git } from './command/git.ts';
import { InProcess } from './command/in-process.ts';
import { ProcessPool } from './command/process-pool.ts';
import { DiffOutputs } from './diff/diff-outputs.ts';
import { startTreeDiff } from './diff/tree-diff-process.ts';
import { CommitNodeCache, type CommitNodes } from './history/graph/commit-nodes.ts';
import { CatFilePool } from './objects/cat-file/cat-file-pool.ts';
import type { LookupObserver } from './objects/cat-file/lookup.ts';
import { ObjectDatabases } from './objects/database/object-databases.ts';
import { ObjectReader } from './objects/object-reader.ts';
import { MailmapCache } from './objects/parse/mailmap-cache.ts';
import type { ReadableRepository } from './objects/readable-repository.ts';
import { RefReader } from './refs/ref-reader.ts';
import { RefCaches } from './refs/resolve/ref-caches.ts';
import type { RefChangeRecorder } from './refs/update/ref-change-recorder.ts';
import { startUpdateRef } from './refs/update/update-ref-process.ts';
import type { GitDirectory } from './repository-files/git-directory.ts';
import { HeadFiles } from './repository-files/head-files.ts';
import { RepositoryFormats } from './repository-files/repository-format.ts';

export interface RepositoryCachesOptions {
  /**
   * Maximum number of cat-file processes kept for later use. Default 100 (Gitaly:
   * `git.catfile_cache_size`).
   */
  readonly catFileProcesses?: number | undefined;
  /** Time for which an idle process is kept. Default 10 s. */
  readonly catFileIdleMs?: number | undefined;
  /** Notified of lookups of objects, in cat-file processes and in process. */
  readonly lookupObserver?: LookupObserver | undefined;
  /** Default: answers in process, without a report. */
  readonly inProcess?: InProcess | undefined;
}

/** A process takes some 4 MiB. */
const UPDATE_REFS = { maxIdle: 64, maxIdlePerRepository: 16 };
const TREE_DIFFS_PER_REPOSITORY = Math.max(2 * availableParallelism(), 4);
/** A process takes up to 36 MiB. */
const TREE_DIFFS = {
  maxIdle: 2 * TREE_DIFFS_PER_REPOSITORY,
  maxIdlePerRepository: TREE_DIFFS_PER_REPOSITORY,
  maxBusyPerRepository: TREE_DIFFS_PER_REPOSITORY,
};

/**
 * Everything that is kept between calls for the repositories of one server: waiting git processes,
 * and data from their files.
 */
export class RepositoryCaches implements AsyncDisposable {
  readonly git: Git;
  readonly inProcess: InProcess;
  /** The shared cat-file processes; public for its counts. */
  readonly catFiles: CatFilePool;
  readonly updateRefs = new ProcessPool(startUpdateRef, UPDATE_REFS);
  readonly treeDiffs = new ProcessPool(startTreeDiff, TREE_DIFFS);
  readonly diffOutputs = new DiffOutputs();
  readonly formats = new RepositoryFormats();
  /** Set once, before changes are made. */
  changeRecorder: RefChangeRecorder | undefined;
  readonly #heads = new HeadFiles();
  readonly #databases = new ObjectDatabases(this.#heads);
  readonly #lookupObserver: LookupObserver | undefined;
  readonly #mailmaps = new MailmapCache();
  readonly #refs = new RefCaches(undefined, this.#heads);
  readonly #commitNodes = new CommitNodeCache();

  constructor(
    git: Git,
    {
      catFileProcesses = 100,
      catFileIdleMs = 10_000,
      inProcess = new InProcess(),
      lookupObserver,
    }: RepositoryCachesOptions = {},
  ) {
    this.git = git;
    this.inProcess = inProcess;
    this.#lookupObserver = lookupObserver;
    this.catFiles = new CatFilePool({
      delimiter: git.capabilities.catFileNul ? 0 : 10,
      maxProcesses: catFileProcesses,
      idleMs: catFileIdleMs,
      observer: lookupObserver,
    });
  }

  /**
   * Returns caches for work that reads many repositories once each, so that these do not replace
   * those that calls use. The caller closes them.
   */
  apart(): RepositoryCaches {
    return new RepositoryCaches(this.git, {
      inProcess: this.inProcess,
      lookupObserver: this.#lookupObserver,
    });
  }

  objects(repository: ReadableRepository): ObjectReader {
    return new ObjectReader(repository, {
      pool: this.catFiles,
      databases: this.#databases,
      observer: this.#lookupObserver,
      mailmaps: this.#mailmaps,
      resolveName: (name) => this.refs(repository).resolveShortNow(name)?.oid,
    });
  }

  refs(repository: ReadableRepository): RefReader {
    return new RefReader(this.#refs, repository);
  }

  commits(repository: ReadableRepository): CommitNodes {
    return this.#commitNodes.of(repository);
  }

  hasDamagedCommitGraph(repository: GitDirectory): boolean {
    return this.#commitNodes.hasDamagedGraph(repository);
  }

  /** Drops everything about a repository that was removed or moved. */
  forget(repository: GitDirectory): void {
    this.formats.forget(repository);
    this.diffOutputs.forget(repository);
    this.#refs.forget(repository.path);
    this.#commitNodes.forget(repository);
    this.#databases.forget(repository);
    this.catFiles.forget(repository);
    this.updateRefs.forget(repository);
    this.treeDiffs.forget(repository);
  }

  /**
   * Ends the processes that read a repository with these object directories, which are about to be
   * removed.
   */
  release(repository: GitDirectory): void {
    this.#databases.release(repository);
    this.catFiles.release(repository);
    this.treeDiffs.forget(repository);
  }

  /** Ends all background processes, and resolves when they have ended. */
  async close(): Promise<void> {
    this.#databases.close();
    await Promise.all([this.catFiles.close(), this.updateRefs.close(), this.treeDiffs.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
