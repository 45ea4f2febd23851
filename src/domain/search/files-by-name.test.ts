import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GoRegexp } from '#base/go/regexp/go-regexp';
import { InProcess } from '#git/command/in-process';
import { FILE_PATHS_LIMITS } from '#git/trees/file-paths';
import type { Repository } from '#storage/repository';
import { nestDirectories } from '#testkit/repositories/generated/deep-trees';
import { randomTrees } from '#testkit/repositories/generated/random-trees';
import { gitBytesSync } from '#testkit/repositories/git-bytes-sync';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { filesByName, type NameQuery } from './files-by-name.ts';

const root = makeScratchDirectory('files-by-name');
const seen: string[] = [];
const inProcess = new InProcess({
  observer: {
    onAnswered: (name) => void (name === 'list_files' && seen.push('in process')),
    onFellBack: (name, reason) => void (name === 'list_files' && seen.push(reason ?? 'off')),
  },
});
const git = await GitFixture.start({ inProcess });
after(async () => {
  await git.close();
  rmSync(root, { recursive: true });
});

const signal = AbortSignal.timeout(600_000);
const log = { add: () => {} };
let made = 0;

/** Lists files, and returns them with what the attempt in process ended with. */
async function find(
  repository: Repository,
  { ref, ...query }: Partial<Omit<NameQuery, 'ref'>> & { readonly ref: string },
) {
  seen.length = 0;
  const whole = { query: '.', filter: undefined, offset: 0, limit: 0, ...query, ref: Buffer.from(ref) };
  const files = await filesByName(repository, whole, { signal, log });
  return { files: files.map((file) => file.toString('latin1')), by: seen.join() };
}

/** Lists the same with git; a failure is an empty list. */
function expected(path: string, ref: string, query: string): string[] {
  try {
    const output = gitBytesSync(path, [
      'ls-tree',
      '-r',
      '-z',
      '--full-tree',
      '--name-only',
      ref,
      '--',
      query,
    ]);
    return output.toString('latin1').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

const newPath = (): string => join(root, `${made++}.git`);
const PLAIN = ['.', 'a', 'dir', 'dir/', 'dir/deep', 'dir/deep/', 'dir/deep/c.txt', 'dir/b', 'a/', 'sp ace'];
const MORE = [
  'tab\there',
  'new\nline',
  'a.b',
  '*',
  'dir/*',
  'dir/b/',
  'dir/b/x',
  'missing',
  'missing/x',
  'd',
];
const UNUSUAL = ['./a', 'dir//b', 'dir/../a', '../a', ':a', ':(icase)A', '/a', 'dir/.', '..', '/'];

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`the files of random trees are those that git lists, ${objectFormat}`, async () => {
    const path = newPath();
    initRepository(path, { objectFormat });
    const random = seededRandom(testSeed());
    const count = repetitions('LISTED_TREES', { short: 4, long: 200 });
    const trees = randomTrees(random, { count, hexLength: objectFormat === 'sha1' ? 40 : 64 });
    gitOutput(path, ['fast-import', '--quiet', '--done'], trees);
    const repository = git.open(path);
    let here = 0;
    for (let tree = 0; tree < count; tree++) {
      for (const query of [...PLAIN, ...MORE, ...UNUSUAL]) {
        const all = expected(path, `t${tree}`, query);
        const [offset, limit] = [Math.floor(random() * 3), Math.floor(random() * 4)];
        const end = limit === 0 ? undefined : offset + limit;

        const whole = await find(repository, { ref: `t${tree}`, query });
        const part = await find(repository, { ref: `refs/heads/t${tree}`, query, offset, limit });

        assert.deepEqual(whole.files, all, `t${tree} ${query}`);
        assert.deepEqual(part.files, all.slice(offset, end), `t${tree} ${query} ${offset} ${limit}`);
        if (UNUSUAL.includes(query)) assert.match(part.by, /^an unusual path$/, query);
        else if (part.by === 'in process') here++;
      }
      const filter = new GoRegexp('[ab]|ö');
      const filtered = await find(repository, { ref: `t${tree}`, filter, offset: 1, limit: 3 });
      const all = expected(path, `t${tree}`, '.').filter((name) => /[ab]/.test(name));
      assert.deepEqual(filtered.files, all.slice(1, 4));
    }
    // Submodules with a slash are left to git.
    assert.ok(here > count * (PLAIN.length + MORE.length - 6), `${here} in process`);
  });
}

test('unusual revisions are left to git, and those that do not exist have no files', async () => {
  const path = newPath();
  initRepository(path);
  gitOutput(
    path,
    ['fast-import', '--quiet', '--done'],
    randomTrees(seededRandom(3), { count: 2, hexLength: 40 }),
  );
  gitOutput(path, ['tag', '-a', '-m', 'tag', 'v1', 't1']);
  const repository = git.open(path);
  const oid = gitOutput(path, ['rev-parse', 't1']);
  for (const ref of ['v1', oid, 'refs/tags/v1', gitOutput(path, ['rev-parse', 't1^{tree}'])]) {
    const found = await find(repository, { ref });
    assert.deepEqual(found, { files: expected(path, ref, '.'), by: 'in process' }, ref);
    assert.ok(found.files.length > 0);
  }
  for (const ref of ['t1^{tree}', 't1~0', 't1:', oid.slice(0, 10), 'nope', 't0..t1', oid.toUpperCase()]) {
    const found = await find(repository, { ref });
    assert.deepEqual(found, { files: expected(path, ref, '.'), by: 'an unusual revision' }, ref);
  }
  const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], 'text');
  assert.deepEqual(await find(repository, { ref: blob }), {
    files: [],
    by: 'a name leads to no object of the type',
  });
});

test('git lists what is below a missing tree', async () => {
  const path = newPath();
  initRepository(path);
  const stream = 'commit refs/heads/main\ncommitter C <c@x> 1 +0000\ndata 0\n';
  const file = (name: string): string => `M 100644 inline ${name}\ndata 0\n`;
  gitOutput(path, ['fast-import', '--quiet'], stream + ['a', 'd/x', 'z'].map(file).join(''));
  const repository = git.open(path);
  assert.deepEqual((await find(repository, { ref: 'main' })).by, 'in process');
  const tree = gitOutput(path, ['mktree', '--missing'], `040000 tree ${'1'.repeat(40)}\td\n`);
  gitOutput(path, ['update-ref', 'refs/heads/main', gitOutput(path, ['commit-tree', '-m', 'm', tree])]);

  assert.match((await find(repository, { ref: 'main' })).by, /^an object/);
  assert.match((await find(repository, { ref: 'main', query: 'd' })).by, /^an object/);
});

test('very many, deep and long directories are left to git', async () => {
  const path = newPath();
  initRepository(path);
  const repository = git.open(path);
  const { trees, depth, pathBytes } = FILE_PATHS_LIMITS;
  const many = async (count: number): Promise<string> => {
    const file = (_: unknown, index: number): string => `M 100644 inline d/${index}/f\ndata 0\n`;
    const files = Array.from({ length: count - 2 }, file).join('');
    const commit = 'commit refs/heads/main\ncommitter C <c@x> 1 +0000\ndata 0\ndeleteall\n';
    gitOutput(path, ['fast-import', '--quiet', '--force'], commit + files);
    const found = await find(repository, { ref: 'main' });
    assert.equal(found.files.length, count - 2);
    return found.by;
  };
  assert.equal(await many(trees), 'in process');
  assert.equal(await many(trees + 1), 'there are very many directories');

  for (const levels of [depth - 1, depth]) {
    await nestDirectories(repository, levels);
    const found = await find(repository, { ref: 'base' });
    assert.deepEqual(found.files, [`${'d/'.repeat(levels)}f`]);
    assert.equal(found.by, levels < depth ? 'in process' : 'there are very many directories');
  }

  const empty = gitOutput(path, ['hash-object', '-w', '--stdin'], '');
  const inner = gitOutput(path, ['mktree'], `100644 blob ${empty}\tf\n`);
  for (const length of [pathBytes - 1, pathBytes]) {
    const tree = gitOutput(path, ['mktree'], `040000 tree ${inner}\t${'n'.repeat(length)}\n`);
    const found = await find(repository, { ref: tree });
    assert.deepEqual(found.files, [`${'n'.repeat(length)}/f`]);
    assert.equal(found.by, length < pathBytes ? 'in process' : 'a path is very long');
  }
});

test('a search that is aborted ends with the reason of the signal', async () => {
  const path = newPath();
  initRepository(path);
  gitOutput(
    path,
    ['fast-import', '--quiet', '--done'],
    randomTrees(seededRandom(3), { count: 1, hexLength: 40 }),
  );
  const whole = { query: '.', filter: undefined, offset: 0, limit: 0, ref: Buffer.from('t0') };

  const search = filesByName(git.open(path), whole, { signal: AbortSignal.abort(), log });

  await assert.rejects(search, { code: 'CANCELLED' });
});
