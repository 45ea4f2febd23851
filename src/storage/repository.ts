import { posix } from 'node:path';
import type { GitCommand } from '#git/command/git-command';
import type { GitProcess } from '#git/command/git-process';
import type { Git, RunOptions, SpawnOptions } from '#git/git';
import type { ObjectReader } from '#git/objects/object-reader';
import type { RefReader } from '#git/refs/ref-reader';
import type { GitRepository } from '#git/repository';
import type { ObjectDirectories } from './object-directories.ts';
import type { RepositoryLocation, RepositoryTarget, Storage } from './repository-target.ts';

/** A repository that was found and checked: its place, and git at work in it. Holds nothing open. */
export class Repository implements GitRepository {
  readonly git: Git;
  readonly storage: Storage;
  readonly storageName: string;
  readonly storagePath: string;
  readonly relativePath: string;
  readonly path: string;
  readonly objectDirectory: string;
  readonly alternateObjectDirectories: readonly string[];
  readonly glRepository: string;
  readonly glProjectPath: string;

  constructor(git: Git, location: RepositoryLocation, directories: ObjectDirectories, target: RepositoryTarget) {
    this.git = git;
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

  /** The repository as a request would name it, with the object directories that it has here. */
  get target(): RepositoryTarget {
    const { storageName, relativePath, glRepository, glProjectPath, objectDirectory, alternateObjectDirectories } = this;
    const isQuarantined = objectDirectory !== `${this.path}/objects`;
    return {
      storageName,
      relativePath,
      glRepository,
      glProjectPath,
      gitObjectDirectory: isQuarantined ? posix.relative(this.path, objectDirectory) : '',
      gitAlternateObjectDirectories: alternateObjectDirectories.map((directory) => posix.relative(this.path, directory)),
    };
  }

  get objects(): ObjectReader {
    return this.git.objects(this);
  }

  get refs(): RefReader {
    return this.git.refs(this);
  }

  /** Starts git in the repository. */
  spawn(command: GitCommand, options: Omit<SpawnOptions, 'repository'> = {}): GitProcess {
    return this.git.spawn(command, { ...options, repository: this });
  }

  /** Runs git in the repository to its end. */
  run(command: GitCommand, options: Omit<RunOptions, 'repository'> = {}): Promise<Buffer> {
    return this.git.run(command, { ...options, repository: this });
  }
}
