import { posix } from 'node:path';
import { wrap } from '#base/gitaly-error';
import type { Git } from '#git/command/git';
import type { GitCommand } from '#git/command/git-command';
import type { InProcess } from '#git/command/in-process';
import type { GitProcess } from '#git/command/process/git-process';
import type { ProcessPool } from '#git/command/process-pool';
import type { RunOptions, SpawnOptions } from '#git/command/spawn-options';
import type { DiffOutputs } from '#git/diff/diff-outputs';
import type { CommitNodes } from '#git/history/graph/commit-nodes';
import type { ObjectReader } from '#git/objects/object-reader';
import type { RefReader } from '#git/refs/ref-reader';
import type { RefChangeRecorder } from '#git/refs/update/ref-change-recorder';
import type { GitRepository } from '#git/repository';
import type { RepositoryCaches } from '#git/repository-caches';
import { isQuarantined, type ObjectDirectories } from '#git/repository-files/git-directory';
import {
  type ObjectFormatName,
  type ReferenceBackend,
  type RepositoryFormat,
  requireObjectFormat,
  requireReferenceBackend,
} from '#git/repository-files/repository-format';
import type { RepositoryLocation, RepositoryTarget, Storage } from './repository-target.ts';

/**
 * A checked repository of a storage: its location, and access to its git. It holds nothing open.
 */
export class Repository implements GitRepository {
  readonly caches: RepositoryCaches;
  readonly storage: Storage;
  readonly storageName: string;
  readonly storagePath: string;
  readonly relativePath: string;
  readonly path: string;
  readonly objectDirectory: string;
  readonly alternateObjectDirectories: readonly string[];
  readonly glRepository: string;
  readonly glProjectPath: string;
  #objectFormat: ObjectFormatName | undefined;

  constructor(
    caches: RepositoryCaches,
    location: RepositoryLocation,
    directories: ObjectDirectories,
    target: RepositoryTarget,
  ) {
    this.caches = caches;
    this.storage = location.storage;
    this.storageName = location.storage.name;
    this.storagePath = location.storage.path;
    this.relativePath = location.relativePath;
    this.path = location.path;
    this.objectDirectory = directories.objectDirectory;
    this.alternateObjectDirectories = directories.alternateObjectDirectories;
    this.glRepository = target.glRepository ?? '';
    this.glProjectPath = target.glProjectPath ?? '';
  }

  /** The repository as named in a request, with its current object directories. */
  get target(): RepositoryTarget {
    const {
      storageName,
      relativePath,
      glRepository,
      glProjectPath,
      objectDirectory,
      alternateObjectDirectories,
    } = this;
    return {
      storageName,
      relativePath,
      glRepository,
      glProjectPath,
      gitObjectDirectory: isQuarantined(this) ? posix.relative(this.path, objectDirectory) : '',
      gitAlternateObjectDirectories: alternateObjectDirectories.map((directory) =>
        posix.relative(this.path, directory),
      ),
    };
  }

  get git(): Git {
    return this.caches.git;
  }

  get inProcess(): InProcess {
    return this.caches.inProcess;
  }

  get format(): RepositoryFormat {
    return this.caches.formats.of(this);
  }

  get objectFormat(): ObjectFormatName {
    try {
      // A repository keeps its hash; the storage of its references may change during a call.
      this.#objectFormat ??= requireObjectFormat(this.format);
      return this.#objectFormat;
    } catch (error) {
      throw wrap(error, 'detecting object hash');
    }
  }

  get knownObjectFormat(): ObjectFormatName | undefined {
    return this.caches.formats.find(this)?.objectFormat;
  }

  get knownReferenceBackend(): ReferenceBackend | undefined {
    const format = this.caches.formats.find(this);
    if (format !== undefined) requireReferenceBackend(format);
    return format?.referenceBackend;
  }

  get hasDamagedCommitGraph(): boolean {
    return this.caches.hasDamagedCommitGraph(this);
  }

  get referenceBackend(): ReferenceBackend {
    return this.format.referenceBackend;
  }

  get objects(): ObjectReader {
    return this.caches.objects(this);
  }

  get refs(): RefReader {
    return this.caches.refs(this);
  }

  get commits(): CommitNodes {
    return this.caches.commits(this);
  }

  get updateRefs(): ProcessPool {
    return this.caches.updateRefs;
  }

  get changeRecorder(): RefChangeRecorder | undefined {
    return this.caches.changeRecorder;
  }

  get treeDiffs(): ProcessPool {
    return this.caches.treeDiffs;
  }

  get diffOutputs(): DiffOutputs {
    return this.caches.diffOutputs;
  }

  spawn(command: GitCommand, options: Omit<SpawnOptions, 'repository'> = {}): GitProcess {
    return this.git.spawn(command, { ...options, repository: this });
  }

  spawnTurn(signal?: AbortSignal): Promise<void> {
    return this.git.spawnTurn(signal);
  }

  async run(command: GitCommand, options: Omit<RunOptions, 'repository'> = {}): Promise<Buffer> {
    return await this.git.run(command, { ...options, repository: this });
  }

  /** Returns a draft: the repository's name, and another directory with all its files. */
  at(path: string): Repository {
    const directories = { objectDirectory: `${path}/objects`, alternateObjectDirectories: [] };
    const { storage, relativePath } = this;
    return new Repository(this.caches, { storage, path, relativePath }, directories, this);
  }

  withObjectDirectories(directories: Partial<ObjectDirectories>): Repository {
    const { objectDirectory, alternateObjectDirectories } = this;
    const other = new Repository(
      this.caches,
      this,
      { objectDirectory, alternateObjectDirectories, ...directories },
      this,
    );
    other.#objectFormat = this.#objectFormat;
    return other;
  }
}
