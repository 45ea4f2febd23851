import assert from 'node:assert/strict';
import { globSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { seededShare } from '#testkit/seeded-share';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { runFiles } from '../../scripts/tests/run-files.ts';
import { gitOverClient } from '../git-over-client/environment.ts';

const ROOT = join(import.meta.dirname, '../..');
const PRELOAD = join(import.meta.dirname, 'deny-koffi.ts');
/** Parts of the suite that start many processes, with every kind of descriptor and stream. */
const REPRESENTATIVE = [
  'src/git/command/process/spawn-gate.test.ts',
  'src/services/smarthttp/{broken-sidechannel,info-refs*,post-receive-pack,small-fetch,upload-pack}.test.ts',
  'src/services/ssh/{conversation,ssh}.test.ts',
  'src/domain/{hooks,receive-pack}/*.test.ts',
  'src/object-store/{contract,open-store}.test.ts',
  'src/tools/doctor/check-generations.test.ts',
  'src/testkit/*.test.ts',
];
/** Share of their files that `npm test` runs, by its seed; all in the soak. */
const SHARE = 1 / 3;
const COMMITS = 3;
const TEST_LIMIT_MS = 10 * 60_000;
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
      env: gitOverClient(gitaly.address, { withSidechannel: true }),
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

test('a representative part of the test suite passes without koffi', async (context) => {
  const all = globSync(REPRESENTATIVE, { cwd: ROOT }).sort();
  assert.ok(all.length > 15, `${all.length} files`);
  const files = seededShare(all, SHARE);

  // A variable marks the children of this file's runner; a process with it would run nothing.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const results = await runFiles(files, {
    cwd: ROOT,
    processes: 2,
    timeoutMs: TEST_LIMIT_MS,
    env: { ...env, NODE_OPTIONS: `--import=${PRELOAD}` },
    nodeOptions: [],
    signal: context.signal,
    onResult: () => undefined,
  });

  const failures = results.filter(({ failed }) => failed).map(({ file, report }) => `${file}\n${report}`);
  assert.deepEqual(failures, []);
  assert.ok(results.length > 0 && results.every(({ tests }) => tests > 0));
});
