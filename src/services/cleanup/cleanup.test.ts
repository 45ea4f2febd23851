import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addCommit, gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { ObjectType } from '#wire/gen/shared_pb';

const repository = { storageName: 'default', relativePath: 'x.git' };
const isInstalled = spawnSync('git', ['filter-repo', '--version'], { stdio: 'ignore' }).status === 0;

function make(gitaly: TestGitaly, commits = 3): string {
  const path = initServed(gitaly, 'x.git', { commits });
  return path;
}

function references(path: string): string[] {
  return gitOutput(path, ['for-each-ref', '--format=%(refname)']).split('\n');
}

test('internal references to rewritten commits and their children go, all others stay', async () => {
  await using gitaly = await startGitaly();
  const path = make(gitaly);
  const [newest = '', middle = '', oldest = ''] = gitOutput(path, ['rev-list', 'main']).split('\n');
  for (const [name, oid] of [
    ['refs/keep-around/middle', middle],
    ['refs/merge-requests/1/head', newest],
    ['refs/pipelines/7', oldest],
    ['refs/other/x', middle],
    ['refs/tags/middle', middle],
  ] as const)
    gitOutput(path, ['update-ref', name, oid]);
  const map = `old${' '.repeat(38)}new\n${middle} ${newest}\n${'1'.repeat(40)} ${'2'.repeat(40)}\n`;

  const answers = await Array.fromAsync(
    gitaly.connection.cleanup.applyBfgObjectMapStream([
      { repository, objectMap: Buffer.from(map.slice(0, 70)) },
      { objectMap: Buffer.from(map.slice(70)) },
    ]),
  );

  assert.deepEqual(
    answers.flatMap(({ entries }) => entries.map(({ type, oldOid }) => [type, oldOid])),
    [
      [ObjectType.COMMIT, middle],
      [ObjectType.UNKNOWN, '1'.repeat(40)],
    ],
  );
  const left = ['refs/heads/main', 'refs/other/x', 'refs/pipelines/7', 'refs/tags/middle'];
  assert.deepEqual(references(path), left);
});

test('a bad line deletes nothing', async () => {
  await using gitaly = await startGitaly();
  const path = make(gitaly);
  gitOutput(path, ['update-ref', 'refs/keep-around/x', 'main']);
  const oid = gitOutput(path, ['rev-parse', 'main']);

  for (const [map, message] of [
    [`${oid} ${'0'.repeat(40)}\nno line\n`, 'invalid old object ID at line 1'],
    ['x'.repeat(3000), 'object map invalid at line 0'],
  ] as const)
    await assert.rejects(
      Array.fromAsync(
        gitaly.connection.cleanup.applyBfgObjectMapStream([{ repository, objectMap: Buffer.from(map) }]),
      ),
      { code: 'INVALID_ARGUMENT', message },
    );

  assert.deepEqual(references(path), ['refs/heads/main', 'refs/keep-around/x']);
});

test('without git filter-repo a rewrite says what to install', {
  skip: isInstalled && 'git filter-repo is installed',
}, async () => {
  await using gitaly = await startGitaly();
  const path = make(gitaly);

  await assert.rejects(gitaly.connection.cleanup.rewriteHistory([{ repository, blobs: ['1'.repeat(40)] }]), {
    code: 'FAILED_PRECONDITION',
    message: 'git filter-repo is not installed on the server: install the package git-filter-repo',
  });

  assert.deepEqual(references(path), ['refs/heads/main']);
  assert.deepEqual(readdirSync(join(gitaly.storagePath(), '+gitaly/tmp')), []);
});

test('a rewrite removes blobs and texts', { skip: !isInstalled && 'no git filter-repo' }, async () => {
  await using gitaly = await startGitaly();
  const path = make(gitaly, 0);
  const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], 'remove me');
  const secret = gitOutput(path, ['hash-object', '-w', '--stdin'], 'the password is hunter2\n');
  const tree = gitOutput(path, ['mktree'], `100644 blob ${blob}\tgone\n100644 blob ${secret}\tkept\n`);
  const commit = gitOutput(path, ['commit-tree', '-m', 'both', tree]);
  for (const name of ['refs/heads/main', 'refs/keep-around/x']) gitOutput(path, ['update-ref', name, commit]);

  await gitaly.connection.cleanup.rewriteHistory([
    { repository, blobs: [blob] },
    { redactions: [Buffer.from('hunter2')] },
  ]);

  for (const name of ['refs/heads/main', 'refs/keep-around/x']) {
    assert.equal(gitOutput(path, ['ls-tree', '--name-only', name]), 'kept');
    assert.equal(gitOutput(path, ['show', `${name}:kept`]), 'the password is ***REMOVED***');
  }
  gitOutput(path, ['fsck', '--strict']);
});

test('a rewrite of a repository without commits is refused', async () => {
  await using gitaly = await startGitaly();
  const path = make(gitaly, 0);
  const call = () => gitaly.connection.cleanup.rewriteHistory([{ repository, blobs: ['1'.repeat(40)] }]);
  await assert.rejects(call(), { code: 'INTERNAL', message: /^calculate initial checksum: / });
  addCommit(path);
  await assert.rejects(gitaly.connection.cleanup.rewriteHistory([{ repository }]), {
    code: 'INVALID_ARGUMENT',
    message: 'no object IDs or text replacements specified',
  });
});
