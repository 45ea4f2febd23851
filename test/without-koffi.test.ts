import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitalyProcess } from '#testkit/start-gitaly-process';

/** Preloaded module: makes loading `koffi` fail, as without a binary for the machine. */
const DENY_KOFFI = `
import { registerHooks } from 'node:module';
registerHooks({
  resolve(name, context, next) {
    if (/(^|\\/)koffi($|\\/)/.test(name)) throw new Error('koffi has no binary here');
    return next(name, context);
  },
});
`;
const ROOT = join(import.meta.dirname, '..');
const SSH = join(import.meta.dirname, 'git-over-client/ssh.ts');
const COMMITS = 3;
const repository = { storageName: 'default', relativePath: 'r.git' };

test('without koffi a server serves calls, pushes and clones, and doctor reports it', async (context) => {
  const directory = makeScratchDirectory('without-koffi');
  context.after(() => rmSync(directory, { recursive: true }));
  const preload = join(directory, 'deny-koffi.mjs');
  writeFileSync(preload, DENY_KOFFI);
  await using gitaly = await startGitalyProcess({ preload });
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
  const options = ['--conditions=source', '--import', preload];
  const doctor = await run(process.execPath, [...options, join(ROOT, 'src/cli/gitaly-ts.ts'), 'doctor']);
  assert.match(doctor.stdout + doctor.stderr, /koffi does not work here/);
});
