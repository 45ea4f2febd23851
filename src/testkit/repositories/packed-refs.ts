import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Writes the `packed-refs` of a repository, as `git pack-refs` would: thousands of references
 * without a file for each of them.
 *
 * @param lines `<id> <name>` each, in any order; a second line `^<id>` in the same text is what an
 *   annotated tag points to.
 */
export function writePackedRefs(directory: string, lines: readonly string[]): void {
  const nameOf = (line: string): Buffer => Buffer.from(line.slice(line.indexOf(' ') + 1));
  const sorted = lines
    .map((line) => ({ line, name: nameOf(line) }))
    .sort((a, b) => Buffer.compare(a.name, b.name));
  writeFileSync(
    join(directory, 'packed-refs'),
    `# pack-refs with: peeled fully-peeled sorted \n${sorted.map(({ line }) => `${line}\n`).join('')}`,
  );
}
