import { messageOf } from './gitaly-error.ts';
import { systemErrorCode } from './go/system-error.ts';

/**
 * The failures of work that is repeated: of those with one reason, only the first is worth a line
 * of the log. Names of files in messages do not count, as each attempt may use another one.
 */
export class ProblemSeries {
  #reason: string | undefined;

  /** Notes a failure. @returns true unless the attempt before failed for the same reason. */
  begins(error: unknown): boolean {
    const before = this.#reason;
    this.#reason = systemErrorCode(error) ?? messageOf(error);
    return this.#reason !== before;
  }

  /** Notes a success. */
  end(): void {
    this.#reason = undefined;
  }
}
