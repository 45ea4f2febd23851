import { relative } from 'node:path';

/** A test without subtests, as {@link jsonLines} writes it. */
export interface ReportedTest {
  readonly file: string;
  readonly name: string;
  readonly result: 'passed' | 'failed' | 'skipped';
  /** The text of a failure. */
  readonly error?: string;
}

/** The parts of an event of `node:test` that are read here. */
interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly name: string;
    readonly file?: string;
    readonly skip?: string | boolean;
    readonly details?: {
      readonly type?: string;
      readonly error?: { readonly failureType?: string; readonly cause?: unknown; readonly message: string };
    };
  };
}

/** Yields a line of JSON for each test. */
export async function* jsonLines(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const { error, type: kind } = data.details ?? {};
    if (kind === 'suite' || error?.failureType === 'subtestsFailed') continue;
    const reported: ReportedTest = {
      file: relative('.', data.file ?? ''),
      name: data.name,
      result: type === 'test:fail' ? 'failed' : data.skip === undefined ? 'passed' : 'skipped',
      ...(error !== undefined && { error: String(error.cause ?? error.message) }),
    };
    yield `${JSON.stringify(reported)}\n`;
  }
}
