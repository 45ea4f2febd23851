import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { randomHistory, seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { InProcess } from '../command/in-process.ts';
import { listDirectory } from './list-directory.ts';

const root = makeScratchDirectory('list-directory');
let answered = 0;
const observer = { onAnswered: () => void answered++, onFellBack: () => {} };
const here = await GitFixture.start({ inProcess: new InProcess({ observer }) });
const byGit = await GitFixture.start({ inProcess: new InProcess({ isEnabled: false }) });
after(async () => {
  await here.close();
  await byGit.close();
  rmSync(root, { recursive: true });
});

const PATHS = ['.', './', '', 'a', 'd', 'd/', 'd/e/', 'd/e', 'd/x', 'a/', 'nope', 'nope/', 'd//', '../d'];
const MORE_PATHS = [
  '*',
  'd/*',
  ':d',
  ':/d/',
  'name with space',
  'sub',
  'sub/',
  '.gitmodules',
  'd/.',
  'd/../d/',
];
/** Those that need no git where they exist. */
const PLAIN = ['.', 'a', 'd', 'd/', 'd/e', 'd/e/', 'd/x', 'name with space', 'sub'];
const REVISIONS = ['main', 'refs/heads/main', 'main^{tree}', 'main~1', 'main:d', 'nope', 'v1'];

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a directory is listed in process as git ls-tree lists it, ${objectFormat}`, async () => {
    const path = `${root}/${objectFormat}.git`;
    initRepository(path, { objectFormat });
    gitOutput(
      path,
      ['fast-import', '--quiet', '--date-format=raw', '--done'],
      randomHistory(seededRandom(5), 15),
    );
    const tip = gitOutput(path, ['rev-parse', 'refs/heads/main']);
    const entries = gitOutput(path, ['ls-tree', tip]);
    const tree = gitOutput(path, ['mktree', '--missing'], `${entries}\n160000 commit ${tip}\tsub\n`);
    const commit = gitOutput(path, ['commit-tree', '-m', 'sub', '-p', tip, tree]);
    gitOutput(path, ['update-ref', 'refs/heads/main', commit]);
    gitOutput(path, ['tag', '-a', '-m', 'tag', 'v1', 'refs/heads/main']);
    let plain = 0;

    const questions = [
      ...[...PATHS, ...MORE_PATHS].flatMap((name) => [
        { revision: 'main', name, literalPathspecs: false },
        { revision: commit, name, literalPathspecs: true },
      ]),
      ...[...REVISIONS, tree].flatMap((revision) =>
        ['.', 'd/', 'a'].map((name) => ({ revision, name, literalPathspecs: false })),
      ),
    ];
    for (const { name, ...question } of questions) {
      const query = { ...question, path: Buffer.from(name) };
      answered = 0;
      const [ours, expected] = await Promise.allSettled([
        listDirectory(here.open(path), query),
        listDirectory(byGit.open(path), query),
      ]);
      const what = `${question.revision} ${name}`;
      assert.equal(ours.status, expected.status, what);
      if (ours.status === 'fulfilled' && expected.status === 'fulfilled')
        assert.deepEqual(ours.value, expected.value, what);
      if (question.revision !== commit || !PLAIN.includes(name)) continue;
      const exists = expected.status === 'fulfilled' && expected.value.length > 0;
      assert.equal(answered, exists ? 1 : 0, what);
      plain += answered;
    }

    assert.ok(plain > 5, `${plain}`);
  });
}
