import { relative } from 'node:path';
import { spec, type TestEvent } from 'node:test/reporters';
import type { FileResult, SkippedTest } from './file-result.ts';

type Findings = Pick<FileResult, 'failed' | 'tests' | 'skipped' | 'figures' | 'report' | 'problem'>;

/** Matches what the runner itself reports at the end. */
const SUMMARY = /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;
const MAX_FIGURES = 200;

/** Collects what `run` of node:test reports of the tests in one file. */
export class FileReport {
  readonly #file: string;
  readonly #reporter = new spec();
  #text = '';
  readonly #skipped: SkippedTest[] = [];
  readonly #figures: string[] = [];
  #tests = 0;
  #failures = 0;
  #succeeded = false;
  #problem: string | undefined;
  /** Tests at the top of the file that have not ended; `undefined` before the first one. */
  #pending: number | undefined;

  /** @param file a path relative to the working directory. */
  constructor(file: string) {
    this.#file = file;
    this.#reporter.on('data', (text) => {
      this.#text += text;
    });
  }

  /** True when all tests at the top of the file have ended. A file may build programs before. */
  get isComplete(): boolean {
    return this.#pending === 0;
  }

  add(event: TestEvent): void {
    this.#reporter.write(event);
    const { type, data } = event;
    if (type === 'test:diagnostic' && !SUMMARY.test(data.message) && this.#figures.length < MAX_FIGURES)
      this.#figures.push(data.message);
    if (type === 'test:enqueue' && data.nesting === 0) this.#pending = (this.#pending ?? 0) + 1;
    if (type === 'test:complete' && data.nesting === 0) this.#pending = (this.#pending ?? 0) - 1;
    if (type === 'test:summary' && data.file === undefined) {
      this.#tests = data.counts.tests;
      this.#succeeded = data.success;
    }
    if (type !== 'test:pass' && type !== 'test:fail') return;
    if (data.skip !== undefined)
      this.#skipped.push({
        file: this.#file,
        name: data.name,
        reason: typeof data.skip === 'string' ? data.skip : '',
      });
    else if (type === 'test:fail' && data.todo === undefined) this.#failures++;
    // Node passes a test with the name of the file in place of tests.
    else if (data.nesting === 0 && relative('.', data.name) === this.#file)
      this.#problem = 'The file has no tests.';
  }

  /** Adds a failure of the file as a whole. */
  addProblem(problem: string): void {
    this.#problem ??= problem;
  }

  /** Returns the findings; nothing can be added afterwards. */
  end(): Findings {
    this.#reporter.end();
    return {
      failed: !this.#succeeded || this.#failures > 0 || this.#problem !== undefined,
      tests: this.#tests,
      skipped: this.#skipped,
      figures: this.#figures,
      report: this.#text,
      ...(this.#problem !== undefined && { problem: this.#problem }),
    };
  }
}
