/** A mirror and its last run. Times are ISO 8601. */
export interface MirrorState {
  readonly repository: string;
  readonly url: string;
  readonly everySeconds: number;
  /** `undefined` before the first one ends. */
  readonly lastRun: MirrorRun | undefined;
}

/** The last run of a mirror. */
export interface MirrorRun {
  readonly at: string;
  /** Why it failed; `undefined` for success. */
  readonly problem: string | undefined;
  readonly failures: number;
  readonly succeededAt: string | undefined;
}

export interface MirrorSource {
  hasSome(): Promise<boolean>;
  states(): Promise<readonly MirrorState[]>;
  /** Returns the mirror of a repository; `undefined` if it is none. */
  stateOf(repository: string): Promise<MirrorState | undefined>;
}
