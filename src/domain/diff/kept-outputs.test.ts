import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { InProcess } from '#git/command/in-process';
import { outputBytes } from '#git/command/output';
import { changedPaths } from '#git/diff/changed-paths';
import { numstatCommand, patchCommand, WITH_PREFIXES } from '#git/diff/commands';
import { parseNumstat } from '#git/diff/parse/numstat';
import { type PatchQuery, patchOutput } from '#git/diff/patch-output';
import { OID_DIGITS } from '#git/names/object-id';
import type { Repository } from '#storage/repository';
import { fc } from '#testkit/fast-check';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { needsGit } from '#testkit/repositories/needs-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { fileStats } from './file-stats.ts';

const root = makeScratchDirectory('kept-outputs');
after(() => rm(root, { recursive: true }));
const { signal } = new AbortController();
const config = async () => WITH_PREFIXES;

// Without attributes from a tree every comparison starts git.
const skip = needsGit('attrTree');

const text = (...changed: number[]): string =>
  Array.from({ length: 12 }, (_, line) => `${changed.includes(line) ? 'new  ' : ''}line ${line}\n`).join('');

/** Trees that attributes, settings and options compare differently. */
const COMMITS: readonly Readonly<Record<string, string>>[] = [
  { 'a.txt': text(), 'd/b.txt': text(3) },
  { 'a.txt': text(2, 9), 'd/b.txt': text(3), '.gitattributes': '*.txt -diff\n' },
  { 'moved.txt': text(2), 'd/b.txt': text(), '.gitattributes': 'a.txt binary\n' },
  { 'a.txt': text().replaceAll('line', 'line '), 'd/.gitattributes': '*.txt diff=other\n', 'd/b.txt': '' },
];
/** Further trees, of c4 and c5: only git compares this number of files. */
const MANY: typeof COMMITS = [
  { 'a.txt': '' },
  Object.fromEntries(Array.from({ length: 201 }, (_, file) => [`${file}.txt`, `${file}\n`])),
];
const SETTINGS = [
  'diff.algorithm=patience',
  'diff.context=0',
  'diff.renames=false',
  'diff.other.binary=true',
];

type Step =
  | { readonly kind: 'head'; readonly to: number }
  | { readonly kind: 'set'; readonly setting: string }
  | { readonly kind: 'unset' }
  | { readonly kind: 'attributes'; readonly lines: string }
  | { readonly kind: 'replace'; readonly to: number };

const commit = fc.nat({ max: COMMITS.length - 1 });
const steps = fc.array(
  fc.oneof<fc.Arbitrary<Step>[]>(
    fc.record({ kind: fc.constant('head' as const), to: commit }),
    fc.record({ kind: fc.constant('set' as const), setting: fc.constantFrom(...SETTINGS) }),
    fc.constant({ kind: 'unset' as const }),
    fc.constant({ kind: 'unset' as const }),
    fc.record({ kind: fc.constant('attributes' as const), lines: fc.constantFrom('', '', '*.txt -diff\n') }),
    fc.record({ kind: fc.constant('replace' as const), to: commit }),
  ),
  { minLength: 12, maxLength: 12 },
);

function makeRepository(name: string, objectFormat: keyof typeof OID_DIGITS): string {
  const path = join(root, name);
  initRepository(path, { objectFormat });
  let stream = '';
  for (const [number, files] of [...COMMITS, ...MANY].entries()) {
    stream += `commit refs/heads/c${number}\ncommitter C <c@x> 1600000000 +0000\ndata 0\n\ndeleteall\n`;
    for (const [file, content] of Object.entries(files))
      stream += `M 100644 inline ${file}\ndata ${content.length}\n${content}\n`;
  }
  gitOutput(path, ['fast-import', '--quiet', '--done'], `${stream}done\n`);
  gitOutput(path, ['update-ref', 'refs/heads/main', 'refs/heads/c0']);
  return path;
}

function take(path: string, step: Step): void {
  if (step.kind === 'head') gitOutput(path, ['update-ref', 'refs/heads/main', `refs/heads/c${step.to}`]);
  else if (step.kind === 'set') gitOutput(path, ['config', ...step.setting.split('=')]);
  else if (step.kind === 'replace')
    gitOutput(path, ['replace', '-f', 'c1', `c${step.to === 1 ? 2 : step.to}`]);
  else if (step.kind === 'unset') {
    for (const setting of SETTINGS)
      try {
        gitOutput(path, ['config', '--unset', setting.split('=')[0] ?? '']);
      } catch {
        // It was not set.
      }
  } else if (step.lines === '') rmSync(join(path, 'info/attributes'), { force: true });
  else {
    mkdirSync(join(path, 'info'), { recursive: true });
    writeFileSync(join(path, 'info/attributes'), step.lines);
  }
}

const whole = async (output: AsyncIterable<Buffer>): Promise<string> =>
  Buffer.concat(await Array.fromAsync(output)).toString('latin1');

async function assertSame(repository: Repository, query: PatchQuery, about: string): Promise<void> {
  const options = { signal, config: WITH_PREFIXES };
  const expected = await whole(outputBytes(repository, patchCommand(query.sides, query), options));
  assert.equal(await whole(patchOutput(repository, query, { signal, config })), expected, `patch ${about}`);
  const stats = parseNumstat(outputBytes(repository, numstatCommand(query.sides), { signal }));
  const counted = (await Array.fromAsync(fileStats(repository, query.sides, { signal }))).flat();
  assert.deepEqual(counted, (await Array.fromAsync(stats)).flat(), `numstat ${about}`);
}

/** Compares the changed paths of commits, each with the commit before, and of trees. */
async function assertSamePaths(repository: Repository, git: string, about: string): Promise<void> {
  const id = (name: string): string => gitOutput(git, ['rev-parse', name]);
  const { objectFormat, path } = repository;
  for (const findRenames of [true, false]) {
    const query = { filter: 'AMDTCR', findRenames, merges: 'each', signal } as const;
    const trees: readonly [string, string] = [id('c1^{tree}'), id('c2^{tree}')];
    for (const comparison of [{ commit: id('c2'), parents: [id('c1')] }, { trees }]) {
      const found = await Array.fromAsync(changedPaths(repository, { ...query, comparisons: [comparison] }));
      const sides = 'trees' in comparison ? comparison.trees : [...comparison.parents, comparison.commit];
      const expected = gitOutput(path, [
        ...['-c', 'core.useReplaceRefs=false', 'diff-tree', '-r', '--raw', '--no-abbrev'],
        ...[findRenames ? '--find-renames=30%' : '--no-renames', ...sides],
      ]);
      const lines = found.flat().map(({ path: name, newOid }) => `${newOid} ${name}`);
      // git prints no line for equal trees.
      const listed = expected.split('\n').flatMap((line) => {
        const [, , , newOid, ...rest] = line.split(/[ \t]/);
        return newOid === undefined ? [] : [`${newOid} ${rest.at(-1)}`];
      });
      assert.deepEqual(lines, listed, `paths ${objectFormat} ${about}`);
    }
  }
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`kept diffs are those of git, whatever changes meanwhile, ${objectFormat}`, { skip }, async () => {
    await using git = await GitFixture.start();
    const path = makeRepository(`${objectFormat}.git`, objectFormat);
    const hexLength = OID_DIGITS[objectFormat];
    for (const step of fc.sample(steps, 1).flat()) {
      take(path, step);
      const repository = git.open(path);
      for (const [left, right] of [
        ['c0', 'c1'],
        ['c2', 'main'],
        ['c3', 'c0'],
      ] as const) {
        const query: PatchQuery = { sides: { left, right }, hexLength };
        const about = `${left} ${right} after ${JSON.stringify(step)}`;
        await assertSame(repository, query, about);
        await assertSame(repository, query, `${about}, again`);
        await assertSame(repository, { ...query, wordDiff: true }, `${about}, words`);
        await assertSame(repository, { ...query, ignoredSpace: 'all' }, `${about}, without space`);
      }
      await assertSamePaths(repository, path, `after ${JSON.stringify(step)}`);
      await assertSamePaths(repository, path, `after ${JSON.stringify(step)}, again`);
    }
  });
}

/** Opens a repository whose git notes the commands that it starts, with a difference that needs git. */
async function open(name: string, options: Parameters<typeof GitFixture.start>[0] = {}) {
  const started: string[] = [];
  const observer = ({ subcommand }: { subcommand: string }) => void started.push(subcommand);
  const git = await GitFixture.start({ observer, ...options });
  const repository = git.open(makeRepository(name, 'sha1'));
  const query: PatchQuery = { sides: { left: 'c4', right: 'c5' }, hexLength: 40 };
  const ask = async (): Promise<string[]> => {
    const before = started.length;
    await whole(patchOutput(repository, query, { signal, config }));
    await Array.fromAsync(fileStats(repository, query.sides, { signal }));
    return started.slice(before);
  };
  return { git, repository, query, ask };
}

test('a diff that is asked for again starts no git, until the repository is forgotten', {
  skip,
}, async () => {
  const { git, repository, ask } = await open('again.git');
  await using _ = git;
  assert.deepEqual(await ask(), ['diff-tree', 'diff']);
  gitOutput(repository.path, ['update-ref', '-d', 'refs/heads/c3']);

  const again = await ask();
  repository.caches.forget(repository);

  assert.deepEqual(again, []);
  assert.deepEqual(await ask(), ['diff-tree', 'diff']);
});

test('changed paths that are listed again start no git, until the repository is forgotten', async () => {
  const started: string[] = [];
  await using git = await GitFixture.start({ observer: ({ subcommand }) => void started.push(subcommand) });
  const repository = git.open(makeRepository('paths.git', 'sha1'));
  const [left = '', right = ''] = gitOutput(repository.path, ['rev-parse', 'c4', 'c5']).split('\n');
  const list = async (merges: 'each' | 'none'): Promise<string[]> => {
    const before = started.length;
    const comparisons = [{ commit: right, parents: [left] }];
    const query = { comparisons, filter: 'AMDTCR', findRenames: true, merges, signal };
    assert.ok((await Array.fromAsync(changedPaths(repository, query))).flat().length > 0);
    return started.slice(before);
  };
  assert.deepEqual(await list('each'), ['diff-tree']);

  assert.deepEqual(await list('each'), []);
  assert.deepEqual(await list('none'), ['diff-tree']);
  repository.caches.forget(repository);
  assert.deepEqual(await list('each'), ['diff-tree']);
});

test('an output that is not read to its end is not kept', { skip }, async () => {
  const { git, repository, query, ask } = await open('part.git');
  await using _ = git;
  for await (const _chunk of patchOutput(repository, query, { signal, config })) break;

  assert.deepEqual(await ask(), ['diff-tree', 'diff']);
});

test('without answers in process no output is kept', { skip }, async () => {
  const { git, ask } = await open('off.git', { inProcess: new InProcess({ isEnabled: false }) });
  await using _ = git;
  await ask();

  assert.ok((await ask()).includes('diff'));
});
