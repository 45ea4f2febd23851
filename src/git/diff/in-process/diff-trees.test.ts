import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FallBackToGit } from '#git/command/in-process';
import { EMPTY_TREE, OID_DIGITS, type OidDigits } from '#git/names/object-id';
import type { GitRepository } from '#git/repository';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { initRepository } from '#testkit/repositories/init-repository';
import { type Random, seededRandom } from '#testkit/repositories/random-history';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { outputSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { diffOfTrees, rawOfTrees } from './diff-trees.ts';

const root = makeScratchDirectory('diff-trees');
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(root, { recursive: true });
});

const SEED = testSeed();
const PAIRS = repetitions('DIFF_PAIRS', { short: 500, long: 10_000 });
/** Git directory of a real repository, whose commits are compared as well. */
const { DIFF_REPOSITORY: REAL = '' } = process.env;
const { signal } = new AbortController();

type Pair = readonly [string, string];

const FORMATS = {
  'raw and patch': ['--raw', '--patch', '--full-index'],
  numstat: ['--numstat', '-z'],
  raw: ['--raw', '-z'],
  'raw without renames': ['--raw', '-z', '--no-renames'],
} as const;
type Format = keyof typeof FORMATS;

/** Compares pairs of trees with one `git diff-tree`. */
function diffsOfGit(path: string, pairs: readonly Pair[], format: Format, config: string[] = []): Buffer[] {
  const options = ['-r', '--stdin', '--no-abbrev', '--find-renames=30%', ...FORMATS[format]];
  const input = pairs.map(([before, after], index) => `${before} ${after}\n=end ${index}\n`).join('');
  const args = [...config, 'diff-tree', ...options];
  const output = outputSync('git', args, { cwd: path, env: GIT_ENVIRONMENT, input });
  let at = 0;
  return pairs.map(([before, after], index) => {
    const head = `${before} ${after}\n`;
    if (output.toString('latin1', at, at + head.length) === head) at += head.length;
    const end = output.indexOf(`=end ${index}\n`, at);
    const diff = output.subarray(at, end);
    at = end + `=end ${index}\n`.length;
    return diff;
  });
}

/** Compares two trees in process; the reason if that is left to git. */
async function diffHere(
  repository: GitRepository,
  [before, after]: Pair,
  format: Format,
): Promise<Buffer | string> {
  const trees = { before, after, attributes: EMPTY_TREE[repository.objectFormat] };
  try {
    if (format === 'raw' || format === 'raw without renames')
      return await rawOfTrees(repository, trees, { findRenames: format === 'raw', signal });
    return await diffOfTrees(repository, trees, { format, signal });
  } catch (error) {
    if (!(error instanceof FallBackToGit)) throw error;
    return error.message;
  }
}

/** Compares the output for pairs with git's. Returns how many were left to git, by reason. */
async function assertSame(path: string, pairs: readonly Pair[]): Promise<Map<string, number>> {
  const repository = git.open(path);
  const reasons = new Map<string, number>();
  for (const format of Object.keys(FORMATS) as Format[]) {
    // its own keys
    const expected = diffsOfGit(path, pairs, format);
    for (const [index, pair] of pairs.entries()) {
      const found = await diffHere(repository, pair, format);
      if (typeof found === 'string') reasons.set(found, (reasons.get(found) ?? 0) + 1);
      else if (expected[index]?.equals(found) !== true)
        assert.equal(found.toString('latin1'), expected[index]?.toString('latin1'), `${format} of ${pair}`);
    }
  }
  return reasons;
}

/** Generates versions of a directory. Few different lines make many ways to align files. */
class RandomFiles {
  readonly #random: Random;
  readonly #files = new Map<string, { mode: string; lines: string[]; isComplete: boolean }>();
  readonly #digits: OidDigits;
  readonly #words: number;

  constructor(random: Random, digits: OidDigits) {
    this.#random = random;
    this.#digits = digits;
    this.#words = [2, 3, 5, 10, 40, 400][this.#below(6)] ?? 2;
  }

  /** Changes some files and returns the commands of `git fast-import` that write all of them. */
  next(): Buffer {
    for (let changes = this.#below(5); changes >= 0; changes--) this.#change();
    const parts = [...this.#files].map(([name, { mode, lines, isComplete }]) => {
      if (mode === '160000') {
        const oid = String(1 + (lines.length % 9)).repeat(this.#digits);
        return Buffer.from(`M ${mode} ${oid} ${name}\n`);
      }
      const data = Buffer.from(lines.join('\n') + (isComplete ? '\n' : ''), 'latin1');
      const head = `M ${mode} inline ${name}\ndata ${data.length}\n`;
      return Buffer.concat([Buffer.from(head), data, Buffer.from('\n')]);
    });
    return Buffer.concat([Buffer.from('deleteall\n'), ...parts]);
  }

  #change(): void {
    const names = ['a', 'b c', 'd/e.c', 'd/f/g', 'd-h', '"q\\303\\244\\"t"', 'z/y'];
    const name = names[this.#below(names.length)] ?? 'a';
    const file = this.#files.get(name);
    const kind = this.#below(20);
    if (file === undefined || kind === 0) {
      const mode = ['100644', '100644', '100644', '100755', '120000', '160000'][this.#below(6)] ?? '';
      const count = [0, 1, 3, 8, 20, 60, 200, 900][this.#below(8)] ?? 0;
      this.#files.set(name, { mode, lines: this.#lines(count), isComplete: this.#below(4) > 0 });
    } else if (kind === 1) this.#files.delete(name);
    else if (kind === 2) file.mode = file.mode === '100644' ? '100755' : '100644';
    else if (kind === 3) {
      this.#files.delete(name);
      this.#files.set(names[this.#below(names.length)] ?? 'a', file);
    } else {
      file.lines = this.#edited(file.lines);
      file.isComplete = this.#below(10) > 0;
    }
  }

  #edited(before: readonly string[]): string[] {
    const after = [...before];
    for (let edits = [1, 1, 2, 5, 40][this.#below(5)] ?? 1; edits > 0; edits--) {
      const at = this.#below(after.length + 1);
      const kind = this.#below(6);
      if (kind === 0) after.splice(at, 1 + this.#below(3));
      else if (kind === 1) after.splice(at, 0, ...this.#lines(1 + this.#below(4)));
      else if (kind === 2) after.splice(at, 1 + this.#below(2), ...this.#lines(1));
      else if (kind === 3)
        after.splice(this.#below(after.length + 1), 0, ...after.slice(at, at + 1 + this.#below(9)));
      else if (kind === 4) after.splice(at, 0, ...after.slice(at, at + 1 + this.#below(9)));
      else {
        const moved = after.splice(at, 1 + this.#below(30));
        after.splice(this.#below(after.length + 1), 0, ...moved);
      }
    }
    return after;
  }

  #lines(count: number): string[] {
    return Array.from({ length: count }, () => {
      const word = this.#below(this.#words);
      const indent = ['', '', '  ', '\t', '    ', ' \t'][(word * 7) % 6] ?? '';
      if (word % 5 === 0) return word % 2 === 0 ? '' : indent;
      if (this.#below(300) === 0) return '\0';
      // git measures indents up to 200.
      if (this.#below(20) === 0) return ' '.repeat(198 + this.#below(4)) + (word % 2 === 0 ? '' : 'x');
      const tail = ['', '\r', ' {', ` caf\u00e9 `, ' \u00c3\u00a9', ` ${'long '.repeat(20)}`][word % 6] ?? '';
      return `${indent}${word % 3 === 0 ? '$' : ''}f${word}${tail}`;
    });
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

/** Writes versions of directories into a new repository, and returns pairs of their trees. */
function generatedPairs(path: string, objectFormat: keyof typeof OID_DIGITS, count: number): Pair[] {
  initRepository(path, { objectFormat });
  const random = seededRandom(SEED);
  const stream: Buffer[] = [];
  const perSeries = 10;
  for (let made = 0; made < count; made += perSeries) {
    const files = new RandomFiles(random, OID_DIGITS[objectFormat]);
    for (let version = 0; version <= perSeries; version++)
      stream.push(
        Buffer.from('commit refs/heads/x\ncommitter a <a@x> 1 +0000\ndata 0\n'),
        files.next(),
        Buffer.from('\n'),
      );
  }
  const run = (args: readonly string[], input: Buffer): Buffer =>
    outputSync('git', args, { cwd: path, env: GIT_ENVIRONMENT, input });
  run(['fast-import', '--quiet', '--force'], Buffer.concat(stream));
  const trees = run(['log', '--reverse', '--format=%T', 'x'], Buffer.alloc(0)).toString().trim().split('\n');
  return trees.flatMap((tree, index): Pair[] => {
    const next = trees[index + 1];
    if (next === undefined || index % (perSeries + 1) === perSeries) return [];
    return [index % 3 === 0 ? [next, tree] : [tree, next]];
  });
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`generated files are compared as git compares them, ${objectFormat} (SEED=${SEED})`, async () => {
    const path = join(root, `${objectFormat}.git`);
    const pairs = generatedPairs(path, objectFormat, objectFormat === 'sha1' ? PAIRS : PAIRS / 10);

    const reasons = await assertSame(path, pairs);

    const left = [...reasons.values()].reduce((sum, count) => sum + count, 0);
    const text = JSON.stringify(Object.fromEntries(reasons));
    assert.ok(left < pairs.length, `${left} of ${4 * pairs.length}: ${text}`);
  });
}

// git cuts a search short after 256 edits, so its result is not the shortest one.
test(`files with hundreds of changes are compared as git compares them (SEED=${SEED})`, async () => {
  const path = join(root, 'many-changes.git');
  initRepository(path);
  const random = seededRandom(SEED);
  const below = (limit: number): number => Math.floor(random() * limit);
  const texts = Array.from({ length: 24 }, (_, index) => {
    const words = [60, 150, 400][index % 3] ?? 60;
    const lines = (count: number): string[] => Array.from({ length: count }, () => `${below(words)}\n`);
    const before = lines(500 + below(500));
    const changed = before.flatMap((line) => (below(3) === 0 ? [line] : lines(below(3))));
    const after = index % 2 === 0 ? changed : [...lines(below(400)), ...changed, ...lines(below(400))];
    return [before, after].map((all) => all.join(''));
  });
  const stream = [0, 1].map((version) => {
    const files = texts.map((each, index) => {
      const text = each[version] ?? '';
      return `M 100644 inline ${index}/f\ndata ${text.length}\n${text}\n`;
    });
    return `commit refs/heads/x\ncommitter a <a@x> 1 +0000\ndata 0\n${files.join('')}`;
  });
  const run = (args: string[], input = ''): string =>
    outputSync('git', args, { cwd: path, env: GIT_ENVIRONMENT, input: Buffer.from(input) }).toString();
  run(['fast-import', '--quiet'], stream.join(''));
  const names = ['x~1', 'x'].map((commit) => texts.map((_, index) => `${commit}:${index}\n`).join(''));
  const [before = [], later = []] = names.map((each) =>
    run(['cat-file', '--batch-check=%(objectname)'], each).trim().split('\n'),
  );

  const reasons = await assertSame(
    path,
    before.map((tree, index): Pair => [tree, later[index] ?? '']),
  );

  assert.deepEqual(
    [...reasons.keys()].filter((reason) => !reason.includes('takes too long')),
    [],
  );
  const left = [...reasons.values()].reduce((sum, count) => sum + count, 0);
  assert.ok(left < before.length, `${left} of ${4 * before.length}`);
});

/** Creates two versions of a directory, and returns their trees; the second is HEAD's. */
function twoVersions(
  name: string,
  versions: readonly Readonly<Record<string, string>>[],
  encoding: 'utf8' | 'latin1' = 'utf8',
): [string, Pair] {
  const path = join(root, name);
  initRepository(path);
  const stream = versions.map((files) => {
    const changes = Object.entries(files).map(
      ([file, text]) => `M 100644 inline ${file}\ndata ${Buffer.byteLength(text, encoding)}\n${text}\n`,
    );
    return `commit refs/heads/main\ncommitter a <a@x> 1 +0000\ndata 0\ndeleteall\n${changes.join('')}`;
  });
  outputSync('git', ['fast-import', '--quiet'], {
    cwd: path,
    env: GIT_ENVIRONMENT,
    input: Buffer.from(stream.join('\n'), encoding),
  });
  const listed = outputSync('git', ['log', '--reverse', '--format=%T', 'main'], {
    cwd: path,
    env: GIT_ENVIRONMENT,
  });
  const [before = '', later = ''] = listed.toString().split('\n');
  return [path, [before, later]];
}

/** Bytes at the borders of the ranges that UTF-8 allows. */
const ODD_BYTES = [
  ...[0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbd, 0xbe, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf],
  ...[0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff],
];

test(`names of functions are cut where git cuts them (SEED=${SEED})`, async () => {
  const random = seededRandom(SEED);
  const below = (limit: number): number => Math.floor(random() * limit);
  const odd = (): Buffer =>
    Buffer.from(Array.from({ length: 4 }, () => ODD_BYTES[below(ODD_BYTES.length)] ?? 0));
  const first = [0xe0, 0xed, 0xef, 0xf0, 0xf4];
  const names = Array.from({ length: 600 }, (_, index) => {
    const start = 'f'.padEnd(1 + (index % 7 === 0 ? 70 + below(15) : below(3)), 'x');
    const head = index % 3 === 0 ? [] : [first[below(first.length)] ?? 0, 0x80 + below(64), 0x80 + below(64)];
    return Buffer.concat([Buffer.from(start), Buffer.from(head), odd(), Buffer.from(' \n')]);
  });
  const fileOf = (version: string): string =>
    names
      .flatMap((name, index) => [
        name.toString('latin1'),
        ...Array.from({ length: 6 }, (_, line) => ` ${index} ${line}\n`),
        ` ${index} ${version}\n`,
      ])
      .join('');
  const [path, pair] = twoVersions('names', [{ f: fileOf('old') }, { f: fileOf('new') }], 'latin1');

  const reasons = await assertSame(path, [pair]);

  assert.deepEqual([...reasons], []);
});

const numbered = (count: number, start = 0): string =>
  Array.from({ length: count }, (_, line) => `line ${start + line}\n`).join('');

for (const [name, versions, reason] of [
  ['similar files', [{ a: numbered(20) }, { b: numbered(21) }], 'there may be renames of similar files'],
  ['a large file', [{ a: '' }, { a: 'x'.repeat(130 * 1024) }], 'a changed file is large'],
  [
    'large files',
    [{}, Object.fromEntries(Array.from({ length: 20 }, (_, file) => [`f${file}`, numbered(6000, file)]))],
    'a file has very many lines',
  ],
  [
    'many files',
    [{}, Object.fromEntries(Array.from({ length: 201 }, (_, file) => [`f${file}`, 'x']))],
    'many files have changed',
  ],
  [
    'many directories',
    [{ [`${'d/'.repeat(251)}a`]: '1' }, { [`${'d/'.repeat(251)}a`]: '2' }],
    'very many trees have to be read',
  ],
  [
    'an attribute',
    [{ 'd/a': '1\n' }, { 'd/a': '2\n', 'd/.gitattributes': 'a diff=c\n' }],
    'an attribute changes how a file is compared',
  ],
  [
    'a macro',
    [{ a: '1\n' }, { a: '2\n', '.gitattributes': '[attr]mine -diff\na mine\n' }],
    'an attribute changes how a file is compared',
  ],
] as const) {
  test(`${name}: left to git`, async () => {
    const [path, [before, later]] = twoVersions(name.replaceAll(' ', '-'), versions);
    const repository = git.open(path);
    const trees = { before, after: later, attributes: later };

    const compared = diffOfTrees(repository, trees, { format: 'patch', signal });

    const isBelow = name === 'an attribute' && !repository.git.capabilities.attrTree;
    if (isBelow) await compared;
    else await assert.rejects(compared, { name: 'FallBackToGit', message: reason });
  });
}

test('paths are quoted as a setting says, by git', async () => {
  const [path, [before, later]] = twoVersions('quotes', [{}, { 'caf\u00e9': 'x\n', plain: 'x\n' }]);
  const compare = (): Promise<Buffer> =>
    diffOfTrees(git.open(path), { before, after: later, attributes: before }, { format: 'patch', signal });
  assert.match(String(await compare()), /"b\/caf\\303\\251"/);

  outputSync('git', ['config', 'core.quotePath', 'false'], { cwd: path, env: GIT_ENVIRONMENT });

  await assert.rejects(compare(), { message: 'a setting changes how paths are quoted' });
});

test('an aborted comparison ends', async () => {
  const [path, [before, later]] = twoVersions('aborted', [{}, { a: 'x\n' }]);
  const aborted = AbortSignal.abort();

  const compared = diffOfTrees(
    git.open(path),
    { before, after: later, attributes: before },
    { format: 'patch', signal: aborted },
  );

  await assert.rejects(compared, { code: 'CANCELLED' });
});

test('files that take long to compare are left to git within milliseconds', async () => {
  const random = seededRandom(SEED);
  const words = (): string => Array.from({ length: 4900 }, () => `${Math.floor(random() * 700)}\n`).join('');
  const [path, [before, later]] = twoVersions('long', [{ a: words() }, { a: words() }]);
  const startedAt = process.cpuUsage();

  const compared = diffOfTrees(
    git.open(path),
    { before, after: later, attributes: before },
    { format: 'patch', signal },
  );

  await assert.rejects(compared, { message: 'a file takes too long to compare' });
  const { user } = process.cpuUsage(startedAt);
  assert.ok(user < 100_000, `${user} µs`);
});

test('commits of a real repository are compared as git compares them', {
  skip: !REAL && 'DIFF_REPOSITORY is not set',
}, async (t) => {
  const limit = ['-n', String(PAIRS), '--format=%T %P', '--no-commit-header'];
  const listed = outputSync('git', ['rev-list', ...limit, process.env.DIFF_FROM ?? 'HEAD'], {
    cwd: REAL,
    env: GIT_ENVIRONMENT,
  });
  const rows = listed
    .toString()
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  const names = rows.flatMap(([, parent]) => (parent === undefined ? [] : [`${parent}^{tree}\n`]));
  const parents = outputSync('git', ['cat-file', '--batch-check=%(objectname)'], {
    cwd: REAL,
    env: GIT_ENVIRONMENT,
    input: names.join(''),
  });
  const trees = parents.toString().split('\n');
  const pairs = rows
    .filter(([, parent]) => parent !== undefined)
    .map(([tree = ''], index): Pair => [trees[index] ?? '', tree]);

  const reasons = await assertSame(REAL, pairs);

  t.diagnostic(`${pairs.length} pairs, left to git: ${JSON.stringify(Object.fromEntries(reasons))}`);
});
