import type { TestEvent } from 'node:test/reporters';

/** A reporter of `node --test`: the path of the file of each test that fails, one in a line. */
export default async function* failedFiles(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const seen = new Set<string>();
  for await (const { type, data } of source) {
    if (type !== 'test:fail' || data.todo !== undefined) continue;
    // `file` may be a module that defines tests for several files. A file that ends without a
    // result is named by the event itself.
    const { entryFile, file = data.name }: { entryFile?: string; file?: string } = data;
    const path = entryFile ?? file;
    if (!seen.has(path)) yield `${path}\n`;
    seen.add(path);
  }
}
