import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { TEST_CERTIFICATE } from '#testkit/fixtures/test-certificate';
import { goProgram } from '#testkit/programs/go-program';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const TOKEN = 'interop-token';
const REPOSITORY = 'interop.git';
const SOURCE = join(import.meta.dirname, 'interop-go');

const programs = { '16.7': await goProgram(SOURCE), '15.11': await goProgram(SOURCE, { tags: 'v15' }) };
const skip = programs['16.7'] === undefined ? 'Go is not installed: the real Go client is not tried' : false;

/** The real Go client of Gitaly, in the two releases that its users have, against our server. */
describe('the Go client of Gitaly', { skip }, () => {
  let gitaly: TestGitaly;
  let environment: Record<string, string>;

  before(async () => {
    gitaly = await startGitaly({ token: TOKEN, tcp: true, tls: true });
    environment = await seed(gitaly);
  });
  after(() => gitaly[Symbol.asyncDispose]());

  for (const [version, program = ''] of Object.entries(programs)) {
    for (const transport of ['unix', 'tcp', 'tls'] as const) {
      test(`${version} calls, streams and opens sidechannels over ${transport}`, async () => {
        const { stdout, code } = await run(program, ['checks'], {
          env: { ...environment, ADDRESS: gitaly.addresses[transport] ?? '' },
        });

        assert.equal(code, 0, stdout);
        assert.equal(stdout.match(/^ok /gm)?.length, 14, stdout);
      });
    }

    for (const mode of ['upload-pack', 'upload-pack-sidechannel'] as const) {
      for (const protocol of ['version=0', 'version=2']) {
        test(`git clones through ${version}'s ${mode}, ${protocol}`, async () => {
          const target = join(gitaly.directory, `clone-${version}-${mode}-${protocol}`);
          const env = { ...environment, ADDRESS: gitaly.address };

          await runGit(
            [
              '-c',
              'protocol.ext.allow=always',
              '-c',
              `protocol.${protocol}`,
              'clone',
              '-q',
              '--mirror',
              `ext::${program} transport ${mode}`,
              target,
            ],
            { env },
          );

          await runGit(['fsck', '--strict'], { cwd: target });
          assert.equal(await refsOf(target), await refsOf(join(gitaly.storagePath(), REPOSITORY)));
        });
      }
    }

    test(`git pushes through ${version}'s receive-pack`, async () => {
      const source = join(gitaly.directory, `push-${version}`);
      const env = { ...environment, ADDRESS: gitaly.address };
      await runGit(['clone', '-q', join(gitaly.storagePath(), REPOSITORY), source], {});
      await runGit(['commit', '-q', '--allow-empty', '-m', 'pushed'], { cwd: source });

      await runGit(
        [
          '-c',
          'protocol.ext.allow=always',
          'push',
          '-q',
          `ext::${program} transport receive-pack`,
          `HEAD:refs/heads/from-${version}`,
        ],
        { cwd: source, env },
      );

      const [pushed, local] = await Promise.all([
        runGit(['rev-parse', `refs/heads/from-${version}`], { cwd: join(gitaly.storagePath(), REPOSITORY) }),
        runGit(['rev-parse', 'HEAD'], { cwd: source }),
      ]);
      assert.equal(pushed, local);
    });
  }
});

/**
 * Creates a repository with a commit on main, a few branches and tags, and a blob of some
 * megabytes, and returns the program's parameters.
 */
async function seed(gitaly: TestGitaly): Promise<Record<string, string>> {
  await gitaly.connection.repository.createRepository({
    repository: { storageName: 'default', relativePath: REPOSITORY },
  });
  const cwd = join(gitaly.storagePath(), REPOSITORY);
  const blob = await runGit(['hash-object', '-w', '--stdin'], {
    cwd,
    input: Buffer.alloc(3 << 20, 'interop '),
  });
  const tree = await runGit(['mktree'], { cwd, input: `100644 blob ${blob}\tfile\n` });
  const commit = await runGit(['commit-tree', '-m', 'first', tree], { cwd });
  for (const name of ['refs/heads/main', 'refs/heads/topic', 'refs/tags/v1'])
    await runGit(['update-ref', name, commit], { cwd });
  return {
    TOKEN,
    STORAGE: 'default',
    REPOSITORY,
    COMMIT: commit,
    BLOB: blob,
    SSL_CERT_FILE: TEST_CERTIFICATE,
  };
}

function refsOf(repository: string): Promise<string> {
  return runGit(['for-each-ref', '--format=%(refname) %(objectname)'], { cwd: repository });
}
