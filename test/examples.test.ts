import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runGit } from '#testkit/run-git';
import { type RunResult, run } from '#testkit/run-program';
import { gitOverSsh, makeSshKey, NO_OPENSSH, sshArguments } from '#testkit/ssh-client';
import { startGitaly } from '#testkit/start-gitaly';

const EXAMPLES = join(import.meta.dirname, '../examples');

function example(name: string, ...args: string[]): Promise<RunResult> {
  return run(process.execPath, ['--conditions=source', join(EXAMPLES, name), ...args]);
}

test('every example is tried here', () => {
  assert.deepEqual(readdirSync(EXAMPLES).toSorted(), ['embed-a-server.ts', 'read-a-repository.ts', 'ssh-door.ts']);
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

test('the example opens an SSH door', { skip: NO_OPENSSH }, async () => {
  await using gitaly = await startGitaly();
  const keys = join(gitaly.directory, 'authorized_keys');
  const key = await makeSshKey(join(gitaly.directory, 'id'), 'ann');
  writeFileSync(keys, key.line);
  const door = spawn(process.execPath, ['--conditions=source', join(EXAMPLES, 'ssh-door.ts'), gitaly.address, keys, '0']);
  const exited = once(door, 'exit');
  const [line] = await once(door.stdout, 'data');
  const [, url = '', port = ''] = /^(ssh:\/\/git@127\.0\.0\.1:(\d+)) \(host key SHA256:/.exec(String(line)) ?? [];
  const ssh = await sshArguments({
    directory: gitaly.directory,
    door: { host: '127.0.0.1', port: Number(port) },
    hostKeyPath: `${keys}.host-key`,
    key: key.path,
  });
  const work = join(gitaly.directory, 'work');
  await runGit(['init', '-q', '-b', 'main', work]);
  await runGit(['-C', work, 'commit', '-q', '--allow-empty', '-m', 'one']);

  await runGit(['-C', work, 'push', '-q', `${url}/new.git`, 'main'], { env: gitOverSsh(ssh) });
  const refs = await runGit(['ls-remote', `${url}/new.git`, 'main'], { env: gitOverSsh(ssh) });
  door.kill('SIGTERM');

  assert.equal(refs, `${await runGit(['-C', work, 'rev-parse', 'main'])}\trefs/heads/main`);
  assert.deepEqual(await exited, [0, null]);
});
