import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { assertSameDiffs, type ComparedTrees, writeVersions } from '#testkit/repositories/compared-diffs';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { initRepository } from '#testkit/repositories/init-repository';
import { seededRandom } from '#testkit/repositories/random-history';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { outputSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';

const root = makeScratchDirectory('real-history');
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(root, { recursive: true });
});

const SEED = testSeed();
const PAIRS = repetitions('DIFF_PAIRS', { short: 500, long: 10_000 });
/** Git directory with the history; default: that of this project. */
const REAL = process.env.DIFF_REPOSITORY || join(import.meta.dirname, '../../../../.git');
/** File with pairs of trees, one per line; default: commits and their first parents. */
const { DIFF_LIST: LIST = '' } = process.env;

const ATTRIBUTES = [
  '* text=auto eol=lf whitespace=trail,space',
  '*.ts diff=java linguist-language=TypeScript',
  '*.md diff=markdown -merge',
  '*.sh diff=bash',
  '*.go diff=golang',
  '*.py diff=python',
  '*.rb diff=ruby',
  '*.toml diff=ini',
  '*.proto diff=cpp',
  '*.css diff=css',
  '*.html diff=html',
  '*.json -diff',
  '*.test.ts diff=unknown',
].join('\n');

test(`commits of a real history are compared as git compares them (SEED=${SEED})`, {
  skip: !existsSync(join(REAL, 'objects')) && 'no history',
}, async (t) => {
  const path = join(root, 'alternate.git');
  initRepository(path);
  mkdirSync(join(path, 'objects/info'), { recursive: true });
  writeFileSync(join(path, 'objects/info/alternates'), `${join(REAL, 'objects')}\n`);
  const run = (cwd: string, args: string[], input = ''): string[] =>
    outputSync('git', args, { cwd, env: GIT_ENVIRONMENT, input: Buffer.from(input) })
      .toString()
      .trim()
      .split('\n');
  const [head = ''] = run(REAL, ['rev-parse', 'HEAD^{tree}']);
  const [own = ''] = writeVersions(path, [{ '.gitattributes': ATTRIBUTES }]);
  const pairs = LIST === '' ? neighbours() : listed();
  if (pairs.length === 0) return t.skip('no commit has a parent here, as in a shallow checkout');

  const attributes = process.env.DIFF_REPOSITORY ? head : own;
  const reasons = await assertSameDiffs({ git, path, attributes }, pairs);

  t.diagnostic(`${pairs.length} pairs, left to git: ${JSON.stringify(Object.fromEntries(reasons))}`);
  /** Returns commits with their first parents, from a random one on. */
  function neighbours(): ComparedTrees[] {
    const commits = run(REAL, ['rev-list', '--format=%T %P', '--no-commit-header', 'HEAD']);
    const rows = commits.map((line) => line.split(' ')).filter(([, parent]) => parent);
    const first = Math.floor(seededRandom(SEED)() * Math.max(rows.length - PAIRS, 0));
    const chosen = rows.slice(first, first + PAIRS);
    const names = chosen.map(([, parent = '']) => `${parent}^{tree}\n`).join('');
    const parents = run(REAL, ['cat-file', '--batch-check=%(objectname)'], names);
    return chosen.map(([tree = ''], index): ComparedTrees => [parents[index] ?? '', tree]);
  }
});

function listed(): ComparedTrees[] {
  const lines = readFileSync(LIST, 'utf8').trim().split('\n').slice(0, PAIRS);
  return lines.map((line): ComparedTrees => {
    const [before = '', after = ''] = line.split(' ');
    return [before, after];
  });
}
