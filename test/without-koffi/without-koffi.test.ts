import assert from 'node:assert/strict';
import { globSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitalyProcess } from '#testkit/start-gitaly-process';

const ROOT = join(import.meta.dirname, '../..');
const PRELOAD = join(import.meta.dirname, 'deny-koffi.ts');
const SSH = join(ROOT, 'test/git-over-client/ssh.ts');
/** Parts of the suite that start many processes, with every kind of descriptor and stream. */
const REPRESENTATIVE = [
  'src/git/command/process/spawn-gate.test.ts',
  'src/services/smarthttp/{broken-sidechannel,info-refs*,post-receive-pack,small-fetch,upload-pack}.test.ts',
  'src/services/ssh/{conversation,ssh}.test.ts',
  'src/domain/{hooks,receive-pack}/*.test.ts',
  'src/testkit/*.test.ts',
];
const COMMITS = 3;
const SUITE_LIMIT_MS = 10 * 60_000;
const OUTPUT_TAIL_LENGTH = 4000;
const repository = { storageName: 'default', relativePath: 'r.git' };

test('without koffi a server serves calls, pushes and clones, and doctor reports it', async (context) => {
  const directory = makeScratchDirectory('without-koffi');
  context.after(() => rmSync(directory, { recursive: true }));
  await using gitaly = await startGitalyProcess({ preload: PRELOAD });
  const connection = await gitaly.connect();
  await connection.repository.createRepository({ repository });
  const source = join(directory, 'source');
  initRepository(source, { commits: COMMITS });
  const git = (...args: string[]): Promise<string> =>
    runGit(args, {
      cwd: ROOT,
      env: {
        GIT_SSH_COMMAND: `"${process.execPath}" --conditions=source "${SSH}"`,
        GIT_SSH_VARIANT: 'ssh',
        GITALY_ADDRESS: gitaly.address,
        WITH_SIDECHANNEL: '1',
      },
    });

  await git('-C', source, 'push', '--quiet', 'ssh://x/r.git', 'main');
  await git('clone', '--quiet', '--bare', 'ssh://x/r.git', join(directory, 'clone'));

  const request = { repository, revision: Buffer.from('main'), all: false };
  const { count } = await connection.commit.countCommits(request);
  assert.equal(count, COMMITS);
  assert.equal(
    gitOutput(join(directory, 'clone'), ['rev-parse', 'main']),
    gitOutput(source, ['rev-parse', 'main']),
  );
  const options = ['--conditions=source', '--import', PRELOAD];
  const doctor = await run(process.execPath, [...options, join(ROOT, 'src/cli/gitaly-ts.ts'), 'doctor']);
  assert.match(doctor.stdout + doctor.stderr, /starts slowly: the optional package koffi cannot be loaded/);
  assert.equal(gitaly.log().match(/reason=.*koffi/g)?.length, 1, gitaly.log());
  assert.match(
    gitaly.log(),
    /level=warning msg="git starts more slowly .*reason="the optional package koffi/,
  );
});

test('a representative part of the test suite passes without koffi', async () => {
  const files = globSync(REPRESENTATIVE, { cwd: ROOT });
  assert.ok(files.length > 5, `${files.length} files`);

  // A variable marks the children of this file's runner; a runner with it would run nothing.
  const node = ['-u', 'NODE_TEST_CONTEXT', process.execPath, '--conditions=source'];
  const { code, stdout } = await run(
    'env',
    [...node, '--test', '--test-concurrency=2', '--test-reporter=tap', ...files],
    { cwd: ROOT, timeoutMs: SUITE_LIMIT_MS, env: { NODE_OPTIONS: `--import=${PRELOAD}` } },
  );

  const failures = stdout.split('\n').filter((line) => /^ *not ok/.test(line));
  assert.deepEqual([code, failures], [0, []], stdout.slice(-OUTPUT_TAIL_LENGTH));
  assert.ok(Number(/^# pass (\d+)$/m.exec(stdout)?.[1]) > 80, stdout.slice(-OUTPUT_TAIL_LENGTH));
});
