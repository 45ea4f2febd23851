import type { Random } from '#testkit/repositories/random-history';

const DEEP = `${'deep/'.repeat(100)}leaf`;
/**
 * Names as bytes in Latin-1. A path with ` b/` is omitted, because its diff header is ambiguous.
 */
const PATHS = [
  'a',
  'b',
  'dir/a',
  'dir/b',
  'dir/sub/c',
  'dir.x',
  'dir-x/y',
  'sp ace',
  'tab\t',
  'l\xe9/\xff',
  'new\nline',
  '"q"',
  '[x]',
  DEEP,
];
const MESSAGES = [
  'subject\n',
  'no line feed',
  '',
  '\n\nleading lines\n',
  'subject\n\nbody\n\nSigned-off-by: Ann <ann@example.com>\nKey: value\n',
  'caf\xe9\n',
  'two\nlines\n\nand more\n',
  'carriage\r\nreturn\r\n',
  `long\n\n${'line of a long body\n'.repeat(700)}`,
];
const PEOPLE = [
  'Ann <ann@example.com>',
  'J\xfcrgen <j@example.com>',
  'Mapped <old@example.com>',
  ' <>',
  'A. "B" C <a b c>',
];
const DATES = ['0 +0000', '1600000000 +0200', '1600000000 -1159', '1234567890 +0545', '4294967296 +0000'];
const MAILMAP = 'New Name <new@example.com> <old@example.com>\n';

interface Made {
  readonly files: ReadonlyMap<string, string>;
}

/**
 * Returns a stream for `git fast-import`: `count` commits, each at `refs/heads/c<mark>`: roots,
 * chains, criss-cross and octopus merges, commits without changes, commits of the empty tree, dates
 * that run backwards, and a tree with a name for each byte. `refs/heads/main` is the last.
 */
export function oddHistory(random: Random, count: number, hexLength: number): Buffer {
  const below = (limit: number): number => Math.floor(random() * limit);
  const pick = (items: readonly string[]): string => items[below(items.length)] ?? '';
  const made: Made[] = [];
  const parts: Buffer[] = [];
  for (let mark = 1; mark <= count; mark++) {
    const parents = parentsOf(mark);
    const files = filesOf(mark, parents);
    made.push({ files });
    const message = Buffer.from(pick(MESSAGES), 'latin1');
    const date = below(5) === 0 ? pick(DATES) : `${1_600_000_000 + mark * 60 - below(4) * 90} +0000`;
    parts.push(
      latin1(
        `commit refs/heads/c${mark}\nmark :${mark}\nauthor ${pick(PEOPLE)} ${pick(DATES)}\n` +
          `committer ${pick(PEOPLE)} ${date}\n`,
      ),
    );
    if (below(6) === 0) parts.push(latin1('encoding ISO-8859-1\n'));
    parts.push(latin1(`data ${message.length}\n`), message, latin1('\n'));
    parts.push(
      latin1(parents.map((parent, index) => `${index === 0 ? 'from' : 'merge'} :${parent}\n`).join('')),
      latin1('deleteall\n'),
    );
    for (const [path, file] of files) parts.push(printFile(path, file));
  }
  parts.push(latin1(`reset refs/heads/main\nfrom :${count}\n\ndone\n`));
  return Buffer.concat(parts);

  /**
   * Returns the parents: 2 and 3 fork from 1; 4 and 5 both merge them, crossed; 6 merges the
   * crossed ones; the rest is random.
   */
  function parentsOf(mark: number): number[] {
    const fixed: readonly number[][] = [[], [], [1], [1], [2, 3], [3, 2], [4, 5]];
    const known = fixed[mark];
    if (known !== undefined) return [...known];
    if (below(25) === 0) return [];
    const wanted = [1, 1, 1, 2, 2, 3, 7][below(7)] ?? 1;
    const parents = new Set<number>();
    for (let tries = 0; tries < 12 && parents.size < wanted; tries++) {
      parents.add(Math.max(1, mark - 1 - Math.floor(random() ** 2 * 9)));
    }
    return [...parents];
  }

  function filesOf(mark: number, parents: readonly number[]): Map<string, string> {
    if (below(12) === 0) return new Map();
    const files = new Map<string, string>();
    for (const parent of parents) {
      for (const [path, file] of made[parent - 1]?.files ?? [])
        if (!files.has(path) || below(3) === 0) files.set(path, file);
    }
    if (mark === 4)
      for (let byte = 1; byte < 256; byte++)
        if (byte !== 0x2f) files.set(`every/x${String.fromCharCode(byte)}y`, '100644 byte');
    if (mark % 5 === 0) files.set('.mailmap', `100644 ${MAILMAP}`);
    for (let changes = below(5); changes > 0; changes--) {
      const path = pick(PATHS);
      if (below(4) === 0) files.delete(path);
      else files.set(path, newFile());
    }
    return files;
  }

  function newFile(): string {
    const what = below(12);
    if (what === 0) return '120000 a';
    if (what === 1) return `160000 ${pick(['1', '2']).repeat(hexLength)}`;
    if (what === 2) return '100644 \0binary\xff';
    if (what === 3) return '100644 ';
    if (what === 4) {
      const oid = String(below(3)).repeat(64);
      return `100644 version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize 12345\n`;
    }
    const lines = Array.from({ length: 1 + below(30) }, () => `line ${below(4)}`);
    return `${pick(['100644', '100755'])} ${lines.join('\n')}${below(4) === 0 ? '' : '\n'}`;
  }
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

function printFile(path: string, file: string): Buffer {
  const [mode, content] = [file.slice(0, 6), latin1(file.slice(7))];
  const quoted = Array.from(path, (letter) => `\\${letter.charCodeAt(0).toString(8).padStart(3, '0')}`).join(
    '',
  );
  if (mode === '160000') return latin1(`M ${mode} ${content} "${quoted}"\n`);
  return Buffer.concat([
    latin1(`M ${mode} inline "${quoted}"\ndata ${content.length}\n`),
    content,
    latin1('\n'),
  ]);
}
