import { FallBackToGit } from '../command/in-process.ts';

/** Limit of comparisons and moves for one file: some milliseconds. */
const MAX_STEPS = 500_000;

/** The work of one merge of a file, which is limited. */
export class CompareWork {
  #steps = 0;

  /** @throws {FallBackToGit} when there is more work than git would notice. */
  add(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) throw new FallBackToGit('a file takes too long to compare');
  }
}
