import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bordersOf, paintExecuted, readReport, type ScriptCoverage } from './v8-coverage.ts';

/** Directory below the root with a record for each file of tests that has run with `--record`. */
export const RECORDS = '.cache/executed';
/** A source file below the root, but no test. */
export const IS_SOURCE = /^src\/(?!wire\/gen\/).*(?<!\.test)\.ts$/;

/**
 * Records the functions that files of tests execute, in this process and in those that it starts. A
 * record has the hash of the test in its first line, and then a line for each source file: its path
 * and hash, and the starts and ends of what was executed, in turns. The code of a module outside of
 * functions is left out: it runs in each process that imports the module.
 */
export class ExecutedCode {
  readonly #session = new Session();
  readonly #root: string;
  /** Where the processes that a test starts report what they have executed. */
  readonly #reports = mkdtempSync(join(tmpdir(), 'executed-'));
  readonly #sources = new Map<string, { readonly hash: string; readonly length: number }>();

  private constructor(root: string) {
    this.#root = root;
  }

  static async start(root: string): Promise<ExecutedCode> {
    const code = new ExecutedCode(root);
    code.#session.connect();
    await code.#session.post('Profiler.enable');
    await code.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
    process.env.NODE_V8_COVERAGE = code.#reports;
    return code;
  }

  /** Writes the record of a file of tests: what has been executed since the last call. */
  async save(test: string): Promise<void> {
    const { result } = await this.#session.post('Profiler.takePreciseCoverage');
    const painted = new Map<string, Uint8Array>();
    for (const script of [...result, ...this.#takeReports()]) this.#paint(script, painted);
    const lines = [...painted].map(
      ([file, marks]) => `${file} ${this.#source(file).hash} ${bordersOf(marks)}`,
    );
    const hash = hashOf(readFileSync(join(this.#root, test), 'utf8'));
    const directory = join(this.#root, RECORDS);
    mkdirSync(directory, { recursive: true });
    writeFileSync(recordOf(test, directory), `${[hash, ...lines].join('\n')}\n`);
  }

  /** Removes the reports of processes. */
  [Symbol.dispose](): void {
    rmSync(this.#reports, { recursive: true, force: true });
  }

  #paint({ functions, url }: ScriptCoverage, painted: Map<string, Uint8Array>): void {
    const prefix = pathToFileURL(`${this.#root}/`).href;
    const file = url.startsWith(prefix) ? url.slice(prefix.length) : '';
    const inside = functions.filter(
      ({ functionName, ranges: [whole] }) => functionName !== '' || whole?.startOffset !== 0,
    );
    if (!IS_SOURCE.test(file) || !inside.some(({ ranges }) => ranges.some(({ count }) => count > 0))) return;
    const marks = painted.get(file) ?? new Uint8Array(this.#source(file).length);
    painted.set(file, marks);
    paintExecuted(marks, inside);
  }

  #source(file: string): { readonly hash: string; readonly length: number } {
    const known = this.#sources.get(file);
    if (known !== undefined) return known;
    const text = readFileSync(join(this.#root, file), 'utf8');
    const source = { hash: hashOf(text), length: text.length };
    this.#sources.set(file, source);
    return source;
  }

  /** Reads and removes the reports of processes that have ended. */
  #takeReports(): ScriptCoverage[] {
    return readdirSync(this.#reports).flatMap((name) => {
      const path = join(this.#reports, name);
      const report = readReport(path);
      rmSync(path);
      return report;
    });
  }
}

export function hashOf(text: string): string {
  return createHash('sha1').update(text).digest('hex').slice(0, 12);
}

/** Returns the path of the record of a file of tests in the directory of the records. */
export function recordOf(test: string, directory: string): string {
  return join(directory, `${test.replaceAll('/', '+')}.txt`);
}
