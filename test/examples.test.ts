import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runGit } from '#testkit/run-git';
import { type RunResult, run } from '#testkit/run-program';
import { startGitaly } from '#testkit/start-gitaly';

const EXAMPLES = join(import.meta.dirname, '../examples');

function example(name: string, ...args: string[]): Promise<RunResult> {
  return run(process.execPath, ['--conditions=source', join(EXAMPLES, name), ...args]);
}

test('every example is tried here', () => {
  assert.deepEqual(readdirSync(EXAMPLES).toSorted(), ['embed-a-server.ts', 'read-a-repository.ts']);
});

test('the example reads a repository', async () => {
  await using gitaly = await startGitaly();
  const path = join(gitaly.storagePath(), 'a.git');
  await runGit(['init', '-q', '--bare', '-b', 'main', path]);
  const blob = await runGit(['hash-object', '-w', '--stdin'], { cwd: path, input: '12345' });
  const tree = await runGit(['mktree'], { cwd: path, input: `100644 blob ${blob}\tfile.txt\n` });
  const commit = await runGit(['commit-tree', '-m', 'the subject', tree], { cwd: path });
  await runGit(['update-ref', 'refs/heads/main', commit], { cwd: path });

  const found = await example('read-a-repository.ts', gitaly.address, 'default', 'a.git');
  const missing = await example('read-a-repository.ts', gitaly.address, 'default', 'none.git');

  assert.deepEqual([found.code, found.stdout, found.stderr], [0, `${commit} the subject\nfile.txt 5n\n`, '']);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /there is no none\.git/);
});

test('the example embeds a server', async () => {
  const { code, stdout, stderr } = await example('embed-a-server.ts');

  assert.equal(code, 0, stderr);
  assert.match(stdout, /^unix:.* refs\/heads\/trunk\n$/);
});
