import type { CommandRepository } from './command/command-repository.ts';
import type { ProcessPool } from './command/process-pool.ts';
import type { DiffOutputs } from './diff/diff-outputs.ts';
import type { CommitNodes } from './history/graph/commit-nodes.ts';
import type { ObjectReader } from './objects/object-reader.ts';
import type { RefReader } from './refs/ref-reader.ts';
import type { RefChangeRecorder } from './refs/update/ref-change-recorder.ts';
import type { ObjectDirectories } from './repository-files/git-directory.ts';

/**
 * The handle of one repository, with everything that a function needs to work on it. It holds
 * nothing open; `RepositoryCaches` owns what outlives a call. Implemented by storage's
 * `Repository`.
 */
export interface GitRepository extends CommandRepository {
  readonly objects: ObjectReader;
  readonly refs: RefReader;
  /** The commits as a graph, read in process. */
  readonly commits: CommitNodes;
  /** Waiting processes for changes of references; used by `RefTransaction`. */
  readonly updateRefs: ProcessPool;
  /** Records changes of references; `undefined` if they are not needed. */
  readonly changeRecorder: RefChangeRecorder | undefined;
  /**
   * Waiting processes for comparing trees, one variant per tree of attributes; used by
   * `patchOutput`.
   */
  readonly treeDiffs: ProcessPool;
  /** Outputs of git for pairs of trees. */
  readonly diffOutputs: DiffOutputs;

  /** Returns the same repository, reading from or writing to other object directories. */
  withObjectDirectories(directories: Partial<ObjectDirectories>): GitRepository;
}
