import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';

/** A test that was skipped. */
export interface SkippedTest {
  readonly file: string;
  readonly name: string;
  /** Empty if the test gives none. */
  readonly reason: string;
}

/** A line of the reporter: a file with a failed test, below the project's root, or a skipped test. */
export type TestResult = { readonly failed: string } | { readonly skipped: SkippedTest };

/** A reporter of `node --test`: failures and skipped tests, one JSON object in a line. */
export default async function* testResults(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const failed = new Set<string>();
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const { skip, name } = data;
    // `file` may be a module that defines tests for several files. A file that ends without a
    // result is named by the event itself.
    const { entryFile, file = name }: { entryFile?: string; file?: string } = data;
    const path = relative('.', entryFile ?? file);
    if (skip !== undefined) {
      const reason = typeof skip === 'string' ? skip : '';
      yield line({ skipped: { file: path, name, reason } });
    } else if (type === 'test:fail' && data.todo === undefined && !failed.has(path)) {
      failed.add(path);
      yield line({ failed: path });
    }
  }
}

function line(result: TestResult): string {
  return `${JSON.stringify(result)}\n`;
}
