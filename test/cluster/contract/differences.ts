import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ReportedTest } from './json-lines.ts';

const DOCUMENT = join(import.meta.dirname, 'differences.md');
/** A row of a table: something in backticks, and the reason. */
const ROW = /^\| `(?<key>[^`]+)` +\|/;

/** The differences between a cluster and a single server, as listed in differences.md. */
export class Differences {
  /** Messages with which Praefect refuses a call that a single server refuses differently. */
  readonly #refusals: ReadonlySet<string>;
  /** JSON paths of recordings' fields that differ. */
  readonly #fields: ReadonlySet<string>;
  /** Tests by {@link nameOf}. */
  readonly #tests: ReadonlySet<string>;
  /** Tests whose result depends on the timing of the nodes. */
  readonly #varying: ReadonlySet<string>;

  /** @param options.hasDatabase adds the differences of a cluster with a database. */
  constructor({ hasDatabase = false } = {}) {
    const sections = readFileSync(DOCUMENT, 'utf8').split('\n## ').slice(1);
    const [refusals = '', fields = '', tests = '', varying = '', ...ofDatabase] = sections;
    const [ownRefusals = '', ownTests = '', ownVarying = ''] = hasDatabase ? ofDatabase : [];
    this.#refusals = new Set([...keysOf(refusals), ...keysOf(ownRefusals)]);
    this.#fields = keysOf(fields);
    // What depends on the state in memory may be equal with a database.
    this.#tests = keysOf(hasDatabase ? ownTests : tests);
    const all = [varying, ownVarying, ...(hasDatabase ? [tests] : [])];
    this.#varying = new Set(all.flatMap((section) => [...keysOf(section)]));
  }

  /** Returns the failures that are not listed, and the listed tests that passed. */
  unexpected(tests: readonly ReportedTest[]): string[] {
    return tests.flatMap((test) => {
      if (this.#varying.has(nameOf(test))) return [];
      const isListed = this.#tests.has(nameOf(test));
      if (test.result === 'passed' && isListed) return [`${nameOf(test)}: does not differ any more`];
      if (test.result !== 'failed' || isListed) return [];
      if (this.#isRefused(test) || this.#isInFieldsOnly(test)) return [];
      return [`${nameOf(test)}: ${test.error}`];
    });
  }

  #isInFieldsOnly({ error = '' }: ReportedTest): boolean {
    const paths = error.split('\n').flatMap((line) => LINE.exec(line)?.groups?.path ?? []);
    return paths.length > 0 && paths.every((path) => this.#fields.has(path));
  }

  #isRefused({ error = '' }: ReportedTest): boolean {
    const message = /status\.message: expected .*, got "(.*?)"['`]?,?$/m.exec(error)?.[1] ?? '';
    const isFailure = !error.includes('status.code: expected "OK"');
    return isFailure && this.#refusals.has(message.replaceAll('\\\\"', '"'));
  }
}

/** The lines of a failed comparison with a recording: `path: expected …, got …`. */
const LINE = /^\+ {2,}['"`](?<path>[^:]+): expected /;

/** Returns `Service/Method: id` of a recording, `file: name` of another test. */
function nameOf({ file, name }: ReportedTest): string {
  return file.startsWith('test/golden/') ? name : `${file}: ${name}`;
}

function keysOf(section: string): Set<string> {
  return new Set(section.split('\n').flatMap((line) => ROW.exec(line)?.groups?.key ?? []));
}
