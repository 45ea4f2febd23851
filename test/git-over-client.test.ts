import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { ObjectFormat } from '#wire/gen/shared_pb';
import { gitOverClient } from './git-over-client/environment.ts';

const FORMATS = { sha1: ObjectFormat.SHA1, sha256: ObjectFormat.SHA256 } as const;

const COMBINATIONS = [
  { format: 'sha1', protocol: '2', sidechannel: '1' },
  { format: 'sha256', protocol: '0', sidechannel: '0' },
] as const;

for (const { format, protocol, sidechannel } of COMBINATIONS) {
  suite(`git through the client, ${format}, protocol v${protocol}, sidechannel ${sidechannel}`, () => {
    let gitaly: TestGitaly;
    let directory: string;
    before(async () => {
      directory = mkdtempSync(join(tmpdir(), 'git-over-client-'));
      gitaly = await startGitaly();
    });
    after(async () => {
      await gitaly[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    });

    const git = (at: string, ...args: string[]) =>
      runGit(['-C', at, '-c', `protocol.version=${protocol}`, ...args], {
        cwd: join(import.meta.dirname, '..'),
        env: gitOverClient(gitaly.address, { withSidechannel: sidechannel === '1' }),
      });

    test('push, clone, fetch, shallow clone, forced push and archive', async () => {
      const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' };
      await gitaly.connection.repository.createRepository({ repository, objectFormat: FORMATS[format] });
      const work = join(directory, 'work');
      const url = 'ssh://host/a.git';
      await runGit(['init', '-q', '-b', 'main', `--object-format=${format}`, work]);
      const commit = async (text: string) => {
        writeFileSync(join(work, 'file.txt'), text.repeat(1000));
        await git(work, 'add', '.');
        await git(work, 'commit', '-q', '-m', text);
      };
      await commit('one');
      await commit('two');
      await git(work, 'remote', 'add', 'origin', url);

      await git(work, 'push', '-q', '-u', 'origin', 'main');
      await git(directory, 'clone', '-q', url, 'clone');
      await commit('three');
      await git(work, 'push', '-q');
      await git(join(directory, 'clone'), 'fetch', '-q');
      assert.equal(
        await git(join(directory, 'clone'), 'rev-parse', 'origin/main'),
        await git(work, 'rev-parse', 'main'),
      );

      await git(directory, 'clone', '-q', '--depth=1', url, 'shallow');
      assert.equal(await git(join(directory, 'shallow'), 'rev-list', '--count', 'HEAD'), '1');

      await git(work, 'reset', '-q', '--hard', 'HEAD~1');
      await assert.rejects(git(work, 'push', '-q'), /non-fast-forward/);
      await git(work, 'push', '-q', '--force');
      await runGit(['-C', join(gitaly.storagePath(), 'a.git'), 'fsck', '--full', '--strict']);

      const remote = await git(directory, 'archive', `--remote=${url}`, '--format=tar', 'main');
      assert.equal(remote, await git(work, 'archive', '--format=tar', 'main'));
    });

    test('a missing repository is an error', async () => {
      await assert.rejects(git(directory, 'clone', '-q', 'ssh://host/none.git', 'none'));
    });
  });
}
