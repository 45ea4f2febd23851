/** A test that was skipped. */
export interface SkippedTest {
  readonly file: string;
  readonly name: string;
  /** Empty if the test gives none. */
  readonly reason: string;
}

/** The result of a file of tests. */
export interface FileResult {
  /** Path below the project's root. */
  readonly file: string;
  readonly failed: boolean;
  readonly tests: number;
  readonly skipped: readonly SkippedTest[];
  readonly durationMs: number;
  /** CPU time, with that of the programs it has waited for; those only on Linux. */
  readonly cpuMs: number;
  /** The results of its tests, as Node's `spec` reporter prints them. */
  readonly report: string;
  /** Lines that its tests have reported with `context.diagnostic`. */
  readonly figures: readonly string[];
  /** A failure of the file as a whole, for people. */
  readonly problem?: string;
}

/**
 * A line that a process with tests (worker.ts) writes: the test that it starts, or a result, which
 * may be its last.
 */
export type WorkerMessage =
  | { readonly started: string }
  | { readonly result: FileResult; readonly isLast?: boolean };
