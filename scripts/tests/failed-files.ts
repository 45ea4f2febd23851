import type { TestEvent } from 'node:test/reporters';

/** A reporter of `node --test`: the path of the file of each test that fails, one in a line. */
export default async function* failedFiles(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const seen = new Set<string>();
  for await (const { type, data } of source) {
    if (type !== 'test:fail' || data.todo !== undefined) continue;
    // A file that ends without a result is named by the event itself.
    const file = data.file ?? data.name;
    if (!seen.has(file)) yield `${file}\n`;
    seen.add(file);
  }
}
