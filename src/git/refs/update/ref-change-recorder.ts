import type { ChangeUser } from '#base/change-user';
import type { RefReader } from '../ref-reader.ts';

/** A repository whose references are read after a change. */
export interface RecordedRepository {
  /** Absolute path. */
  readonly path: string;
  readonly refs: RefReader;
}

export interface RecordingOptions {
  /** Nothing else can change the references until the change ends. */
  readonly isLocked?: boolean;
  /** Values that the change is to set, by full name; `undefined` for a deletion. */
  readonly wanted?: ReadonlyMap<string, string | undefined> | undefined;
  /** Who makes the change. Default: the user of the call that runs. */
  readonly user?: ChangeUser | undefined;
}

/** A change of references that is being made. Disposing it records what became of them. */
export interface RefChangeRecording extends AsyncDisposable {
  /**
   * Notes that the change was made, so that its references need not be read again.
   *
   * @param values object ids by full name, or `undefined` for a deletion. Names that are missing
   *   are read.
   */
  succeeded(values: ReadonlyMap<string, string | undefined>): void;
}

/**
 * Records changes of references, so that none is lost when the server dies. Its functions never
 * throw: a change does not fail because it cannot be recorded.
 */
export interface RefChangeRecorder {
  /**
   * Notes that references are about to change. The references show what becomes of them.
   *
   * @param names full names, one character per byte; `undefined` if any reference may change.
   * @returns `undefined` for a repository whose changes are not visible, such as one that is being
   *   created.
   */
  begin(
    repository: RecordedRepository,
    names: readonly string[] | undefined,
    options?: RecordingOptions,
  ): Promise<RefChangeRecording | undefined>;
}
