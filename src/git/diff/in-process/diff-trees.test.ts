import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { OID_DIGITS } from '#git/names/object-id';
import { assertCpuBelow } from '#testkit/measure/cpu-limit';
import {
  assertSameDiffs,
  type ComparedTrees,
  importTrees,
  writeVersions,
} from '#testkit/repositories/compared-diffs';
import { RandomFiles } from '#testkit/repositories/generated/random-files';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { initRepository } from '#testkit/repositories/init-repository';
import { seededRandom } from '#testkit/repositories/random-history';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { outputSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { diffOfTrees } from './diff-trees.ts';

const root = makeScratchDirectory('diff-trees');
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(root, { recursive: true });
});

const SEED = testSeed();
const PAIRS = repetitions('DIFF_PAIRS', { short: 500, long: 10_000 });
const { signal } = new AbortController();

/** Writes versions of directories into a new repository, and returns pairs of their trees. */
function generatedPairs(path: string, objectFormat: keyof typeof OID_DIGITS, count: number): ComparedTrees[] {
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
  const trees = importTrees(path, Buffer.concat(stream), 'x');
  return trees.flatMap((tree, index): ComparedTrees[] => {
    const next = trees[index + 1];
    if (next === undefined || index % (perSeries + 1) === perSeries) return [];
    return [index % 3 === 0 ? [next, tree] : [tree, next]];
  });
}

/** Attributes of the files of `RandomFiles`. */
const ATTRIBUTES = [
  '* text whitespace=trail,space conflict-marker-size=32 merge=union linguist-generated',
  '[attr]plain -text !diff',
  'a text eol=lf diff=cpp',
  'b* -diff',
  '*.c diff=python encoding=latin1',
  'g diff',
  'd-h diff=unknown export-ignore',
  '*q* binary plain',
  'y binary',
].join('\n');

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`generated files are compared as git compares them, ${objectFormat} (SEED=${SEED})`, async () => {
    const path = join(root, `${objectFormat}.git`);
    const pairs = generatedPairs(path, objectFormat, objectFormat === 'sha1' ? PAIRS : PAIRS / 10);
    const [attributes = ''] = writeVersions(path, [{ '.gitattributes': ATTRIBUTES }]);

    for (const options of [
      { git, path },
      { git, path, attributes },
    ]) {
      const reasons = await assertSameDiffs(options, pairs);

      const left = [...reasons.values()].reduce((sum, count) => sum + count, 0);
      const text = JSON.stringify(Object.fromEntries(reasons));
      assert.ok(left < pairs.length, `${left} of ${4 * pairs.length}: ${text}`);
    }
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

  const reasons = await assertSameDiffs(
    { git, path },
    before.map((tree, index): ComparedTrees => [tree, later[index] ?? '']),
  );

  assert.deepEqual(
    [...reasons.keys()].filter((reason) => !reason.includes('takes too long')),
    [],
  );
  const left = [...reasons.values()].reduce((sum, count) => sum + count, 0);
  assert.ok(left < before.length, `${left} of ${4 * before.length}`);
});

/** Writes two versions of a directory into a new repository, and returns their trees. */
function twoVersions(
  name: string,
  versions: readonly Readonly<Record<string, string | Buffer>>[],
): [string, ComparedTrees] {
  const path = join(root, name);
  initRepository(path);
  const [before = '', later = ''] = writeVersions(path, versions);
  return [path, [before, later]];
}

test('both names of a renamed file have attributes, as in git', async () => {
  const text = (file: number, end: string): string =>
    [
      'def python(',
      'struct c {',
      ...Array.from({ length: 20 }, (_, line) => `  ${file} ${line}`),
      end,
      '',
    ].join('\n');
  const [path, [before, later]] = twoVersions('renames', [
    { '1.bin': text(1, 'a'), '2.txt': text(2, 'a'), '3.py': text(3, 'a'), '4.txt': text(4, 'a') },
    { '1.txt': text(1, 'b'), '2.bin': text(2, 'b'), '3.txt': text(3, 'b'), '4.py': text(4, 'b') },
  ]);
  const [attributes = ''] = writeVersions(path, [{ '.gitattributes': '*.bin -diff\n*.py diff=python\n' }]);

  const reasons = await assertSameDiffs({ git, path, attributes }, [
    [before, later],
    [later, before],
  ]);

  assert.deepEqual([...reasons], []);
});

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
  const versions = ['old', 'new'].map((version) => ({ f: Buffer.from(fileOf(version), 'latin1') }));
  const [path, pair] = twoVersions('names', versions);

  const reasons = await assertSameDiffs({ git, path }, [pair]);

  assert.deepEqual([...reasons], []);
});

const numbered = (count: number, start = 0): string =>
  Array.from({ length: count }, (_, line) => `line ${start + line}\n`).join('');

for (const [name, versions, reason] of [
  ['a large file', [{ a: '' }, { a: 'x'.repeat(257 * 1024) }], 'an object is too large'],
  ['many lines', [{ a: '' }, { a: '\n'.repeat(20_001) }], 'a file has very many lines'],
  [
    'large files',
    [{}, Object.fromEntries(Array.from({ length: 25 }, (_, file) => [`f${file}`, numbered(19_000, file)]))],
    'the changed files are large',
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
] as const) {
  test(`${name}: left to git`, async () => {
    const [path, [before, later]] = twoVersions(name.replaceAll(' ', '-'), versions);
    const repository = git.open(path);
    const trees = { before, after: later, attributes: later };

    const compared = diffOfTrees(repository, trees, { format: 'patch', signal });

    await assert.rejects(compared, { name: 'FallBackToGit', message: reason });
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
  const trees = { before, after: later, attributes: before };

  await assertCpuBelow(100, () =>
    assert.rejects(diffOfTrees(git.open(path), trees, { format: 'patch', signal }), {
      message: 'a file takes too long to compare',
    }),
  );
});
