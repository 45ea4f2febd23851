import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type HttpGateway, startHttpGateway, storageMapping } from '#gateway/index';
import { GIT_ENVIRONMENT, runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { seededShare } from '#testkit/seeded-share';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const MANY_REFS = 1000;

/** `make test` tries one of these pairings, and the soak both. */
const PAIRINGS = [
  [
    ['sha1', '0'],
    ['sha256', '2'],
  ],
  [
    ['sha1', '2'],
    ['sha256', '0'],
  ],
] as const;

for (const [format, protocol] of seededShare(PAIRINGS, 1 / 2).flat()) {
  suite(`git over the HTTP gateway, ${format}, protocol v${protocol}`, () => {
    let gitaly: TestGitaly;
    let gateway: HttpGateway;
    let directory: string;
    before(async () => {
      directory = mkdtempSync(join(tmpdir(), 'http-gateway-'));
      gitaly = await startGitaly();
      gateway = await startHttpGateway({
        gitaly: { address: gitaly.address },
        listen: { host: '127.0.0.1', port: 0 },
        mapping: storageMapping('default'),
        createOnPush: { objectFormat: format },
      });
    });
    after(async () => {
      await gateway.close();
      await gitaly[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    });

    const git = (at: string, ...args: string[]) =>
      runGit(['-C', at, '-c', `protocol.version=${protocol}`, ...args]);
    const serverPath = (name: string) => join(gitaly.storagePath(), name);

    /** Returns a work tree with two commits on `main` and a tag, pushed to a new repository. */
    async function pushed(name: string): Promise<{ work: string; url: string }> {
      const work = join(directory, `work-${name}`);
      const url = `${gateway.url}/${name}`;
      await runGit(['init', '-q', '-b', 'main', `--object-format=${format}`, work]);
      await commit(work, 'one');
      await commit(work, 'two');
      await git(work, 'tag', '-a', '-m', 'first', 'v1');
      await git(work, 'remote', 'add', 'origin', url);
      await git(work, 'push', '-q', '-u', 'origin', 'main', 'v1');
      return { work, url };
    }

    async function commit(work: string, text: string): Promise<void> {
      writeFileSync(join(work, 'file.txt'), `${text}\n`.repeat(100));
      await git(work, 'add', '.');
      await git(work, 'commit', '-q', '-m', text);
    }

    async function assertSameRefs(work: string, name: string): Promise<void> {
      const refs = '--format=%(objectname) %(refname)';
      const here = await runGit(['-C', work, 'for-each-ref', refs, 'refs/heads', 'refs/tags']);
      const there = await runGit(['-C', serverPath(name), 'for-each-ref', refs]);
      assert.equal(there, here);
      await runGit(['-C', serverPath(name), 'fsck', '--full', '--strict']);
    }

    test('a push to a new name creates the repository, and a clone gets the same', async () => {
      const { url, work } = await pushed('new.git');
      const clone = join(directory, 'clone-new');

      await git(directory, 'clone', '-q', url, clone);

      assert.equal(await git(clone, 'rev-parse', 'HEAD', 'v1'), await git(work, 'rev-parse', 'HEAD', 'v1'));
      assert.equal(await runGit(['-C', serverPath('new.git'), 'rev-parse', '--show-object-format']), format);
      await git(clone, 'fsck', '--full', '--strict');
      await assertSameRefs(work, 'new.git');
    });

    test('a clone checks out the branch that was pushed first', async () => {
      const work = join(directory, 'work-trunk');
      await runGit(['init', '-q', '-b', 'trunk', `--object-format=${format}`, work]);
      await commit(work, 'one');
      await git(work, 'push', '-q', `${gateway.url}/trunk`, 'trunk');

      await git(directory, 'clone', '-q', `${gateway.url}/trunk.git`, join(directory, 'clone-trunk'));

      assert.equal(await git(join(directory, 'clone-trunk'), 'symbolic-ref', '--short', 'HEAD'), 'trunk');
    });

    test('a fetch receives commits that were pushed meanwhile', async () => {
      const { url, work } = await pushed('fetch.git');
      const clone = join(directory, 'clone-fetch');
      await git(directory, 'clone', '-q', url, clone);
      await commit(work, 'three');
      await git(work, 'push', '-q');

      await git(clone, 'fetch', '-q');

      assert.equal(await git(clone, 'rev-parse', 'origin/main'), await git(work, 'rev-parse', 'main'));
    });

    test('a shallow clone has one commit and can be deepened', async () => {
      const { url } = await pushed('shallow.git');
      const clone = join(directory, 'clone-shallow');

      await git(directory, 'clone', '-q', '--depth=1', url, clone);
      assert.equal(await git(clone, 'rev-list', '--count', 'HEAD'), '1');
      await git(clone, 'fetch', '-q', '--unshallow');
      assert.equal(await git(clone, 'rev-list', '--count', 'HEAD'), '2');
    });

    test('a partial clone fetches a blob when it is needed', async () => {
      const { url } = await pushed('partial.git');
      const clone = join(directory, 'clone-partial');

      await git(directory, 'clone', '-q', '--filter=blob:none', '--no-checkout', url, clone);
      const missing = await git(clone, 'rev-list', '--objects', '--missing=print', 'HEAD');
      assert.match(missing, /^\?/m);
      assert.match(await git(clone, 'cat-file', '-p', 'HEAD:file.txt'), /^two$/m);
    });

    test('branches are updated, forced and deleted', async () => {
      const { work } = await pushed('update.git');
      await git(work, 'push', '-q', 'origin', 'main:refs/heads/side');
      await commit(work, 'three');
      await git(work, 'push', '-q');
      await git(work, 'branch', 'side');
      await git(work, 'push', '-q', 'origin', 'side');
      await assertSameRefs(work, 'update.git');

      await git(work, 'reset', '-q', '--hard', 'HEAD~1');
      await assert.rejects(git(work, 'push', '-q'), /non-fast-forward/);
      await git(work, 'push', '-q', '--force');
      await git(work, 'branch', '-D', '-q', 'side');
      await git(work, 'push', '-q', 'origin', ':side');
      await assertSameRefs(work, 'update.git');
    });

    test('an atomic push changes all references or none', async () => {
      const { work } = await pushed('atomic.git');
      const before = await runGit(['-C', serverPath('atomic.git'), 'for-each-ref']);
      await git(work, 'reset', '-q', '--hard', 'HEAD~1');

      await assert.rejects(
        git(work, 'push', '-q', '--atomic', 'origin', 'main', 'main:refs/heads/new'),
        /atomic push failed/,
      );
      assert.equal(await runGit(['-C', serverPath('atomic.git'), 'for-each-ref']), before);
      await git(work, 'push', '-q', '--atomic', '--force', 'origin', 'main', 'main:refs/heads/new');
      await git(work, 'branch', 'new');
      await assertSameRefs(work, 'atomic.git');
    });

    test('a hook refuses a push, sees its options, and its output reaches the client', async () => {
      const { work } = await pushed('hook.git');
      const hooks = join(serverPath('hook.git'), 'custom_hooks');
      const hook = join(hooks, 'pre-receive');
      mkdirSync(hooks);
      writeFileSync(
        hook,
        '#!/bin/sh\necho "options: $GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0 user: $GL_USERNAME"\nexit 1\n',
      );
      chmodSync(hook, 0o755);
      const before = await runGit(['-C', serverPath('hook.git'), 'for-each-ref']);
      await commit(work, 'three');

      const result = await run('git', ['-C', work, 'push', '-o', 'please', 'origin', 'main'], {
        env: GIT_ENVIRONMENT,
      });

      assert.notEqual(result.code, 0);
      assert.match(result.stderr, /remote: options: 1 please user: git/);
      assert.match(result.stderr, /pre-receive hook declined/);
      assert.equal(await runGit(['-C', serverPath('hook.git'), 'for-each-ref']), before);
      rmSync(hook);
      await git(work, 'push', '-q');
      await assertSameRefs(work, 'hook.git');
    });

    // The disk takes seconds, independent of the protocol version: once per format.
    if ((format === 'sha1') === (protocol === '2')) {
      test(`${MANY_REFS} refs in one push`, async () => {
        const { work, url } = await pushed('many.git');
        const oid = await git(work, 'rev-parse', 'main');
        const commands = Array.from(
          { length: MANY_REFS },
          (_, i) => `create refs/heads/many/${i} ${oid}\n`,
        ).join('');
        await run('git', ['-C', work, 'update-ref', '--stdin'], { env: GIT_ENVIRONMENT, input: commands });

        await git(work, 'push', '-q', '--all');

        await assertSameRefs(work, 'many.git');
        const seen = await git(directory, 'ls-remote', '--heads', url);
        assert.equal(seen.split('\n').length, MANY_REFS + 1);
      });
    }

    test('a large push is sent chunked and stored completely', async () => {
      const { work } = await pushed('large.git');
      writeFileSync(
        join(work, 'random.bin'),
        crypto.getRandomValues(Buffer.alloc(65_536)).toString('hex').repeat(20) + Math.random(),
      );
      await commit(work, 'large');

      await git(work, '-c', 'http.postBuffer=65536', '-c', 'core.compression=0', 'push', '-q');

      await assertSameRefs(work, 'large.git');
    });

    test('a missing repository returns 404', async () => {
      await assert.rejects(
        git(directory, 'clone', '-q', `${gateway.url}/none.git`, join(directory, 'none')),
        /not found/,
      );
      assert.equal(existsSync(serverPath('none.git')), false);
    });
  });
}
