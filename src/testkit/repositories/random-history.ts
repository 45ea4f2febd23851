/** Returns numbers from 0 to 1, the same sequence for the same seed. */
export type Random = () => number;

/** Returns a small random number generator (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const PATHS = ['a', 'b', 'c', 'name with space', 'd/x', 'd/y', 'd/e/z', 'd/e/w'];

interface Made {
  readonly files: ReadonlyMap<string, string>;
}

/**
 * Returns a stream for `git fast-import`: commits with marks 1 to `count`, each also at
 * `refs/heads/c<mark>`, and the last at `refs/heads/main`. It has several roots, merges of two and
 * more parents that take files from any side, files that return to old contents, commits without
 * changes, dates that run backwards, and many equal dates.
 *
 * @param paths of the files. One may be a directory of another: the later one in the list wins.
 */
export function randomHistory(random: Random, count: number, paths: readonly string[] = PATHS): string {
  const below = (limit: number): number => Math.floor(random() * limit);
  const made: Made[] = [];
  const lines: string[] = [];
  for (let mark = 1; mark <= count; mark++) {
    const parents = pickParents(random, made.length);
    const sources = parents.map((parent) => made[parent - 1]?.files ?? new Map<string, string>());
    const files = new Map<string, string>();
    for (const path of paths) {
      const line = sources[below(sources.length)]?.get(path);
      if (line !== undefined) files.set(path, line);
    }
    for (let changes = below(3); changes > 0; changes--) {
      const path = paths[below(paths.length)] ?? 'a';
      if (below(5) === 0) files.delete(path);
      else files.set(path, `${below(6) === 0 ? '100755' : '100644'} ${below(4)}`);
    }
    made.push({ files });
    const seconds = 1_600_000_000 + (below(4) === 0 ? below(20) * 60 : mark * 30 - (mark % 3) * 30);
    lines.push(
      `commit refs/heads/c${mark}`,
      `mark :${mark}`,
      `committer C <c@example.com> ${seconds} +0000`,
      'data 2',
      `m`,
      '',
    );
    lines.push(
      ...parents.map((parent, index) => `${index === 0 ? 'from' : 'merge'} :${parent}`),
      'deleteall',
    );
    for (const [path, file] of files) {
      const [mode, content = ''] = file.split(' ');
      lines.push(`M ${mode} inline ${path}`, `data ${content.length}`, content);
    }
    lines.push('');
  }
  lines.push('reset refs/heads/main', `from :${count}`, '', 'done', '');
  return lines.join('\n');
}

function pickParents(random: Random, made: number): number[] {
  if (made === 0 || random() < 0.04) return [];
  const wanted = random() < 0.6 ? 1 : random() < 0.8 ? 2 : 3;
  const parents = new Set<number>();
  // Mostly recent ones, so that lines of history continue.
  for (let tries = 0; tries < 8 && parents.size < wanted; tries++)
    parents.add(Math.max(1, made - Math.floor(random() ** 2 * 8)));
  return [...parents];
}
