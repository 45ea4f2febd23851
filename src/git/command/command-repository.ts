import type { GitDirectory } from '../repository-files/git-directory.ts';
import type {
  ObjectFormatName,
  ReferenceBackend,
  RepositoryFormat,
} from '../repository-files/repository-format.ts';
import type { Git } from './git.ts';
import type { GitCommand } from './git-command.ts';
import type { InProcess } from './in-process.ts';
import type { GitProcess } from './process/git-process.ts';
import type { RunOptions, SpawnOptions } from './spawn-options.ts';

/**
 * A repository in which git commands run. The readers of objects and references use it; code above
 * them uses the whole handle, `GitRepository`.
 */
export interface CommandRepository extends GitDirectory {
  /** The program, for its version and capabilities. To run it, use {@link run} or {@link spawn}. */
  readonly git: Git;
  /** Answers without git where that is possible. */
  readonly inProcess: InProcess;
  /**
   * The storage format from the `config` file: the same object until the file changes.
   *
   * @throws {GitalyError} UNKNOWN `open: open <path>/config: no such file or directory`.
   */
  readonly format: RepositoryFormat;
  /** The hash function. @throws as {@link format}, and for an unknown hash. */
  readonly objectFormat: ObjectFormatName;
  /** Storage of references. @throws as {@link format}. */
  readonly referenceBackend: ReferenceBackend;

  /** Starts git in the repository. @throws as `Git.spawn`. */
  spawn(command: GitCommand, options?: Omit<SpawnOptions, 'repository'>): GitProcess;
  /** Resolves when it is the caller's turn to {@link spawn}. @throws as `Git.spawnTurn`. */
  spawnTurn(signal?: AbortSignal): Promise<void>;
  /** Runs git in the repository to its end and returns its output. @throws as `Git.run`. */
  run(command: GitCommand, options?: Omit<RunOptions, 'repository'>): Promise<Buffer>;
}
