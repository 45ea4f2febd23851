import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { GitalyError } from '#client/index';
import { type FileEntry, Repository } from '#client/repository/index';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { gitBytes, gitItems, makeOddRepository, type OddRepository, STATES } from './odd-repository.ts';

let gitaly: TestGitaly;
before(async () => {
  gitaly = await startGitaly();
});
after(() => gitaly[Symbol.asyncDispose]());

/** Default branches by state; `main` in the others, as in Gitaly. */
const DEFAULT_BRANCH: Readonly<Record<string, string | undefined>> = {
  'a detached HEAD': undefined,
  'a HEAD outside of branches': 'refs/stash',
};
/** Names that git resolves in no revision. */
const NOT_RESOLVED = /^(?:\.|\.\.|a\/b)(?:\/x)?$/;

for (const state of STATES)
  suite(`a client of a repository with every oddity and ${state}`, () => {
    let odd: OddRepository;
    let repository: Repository;
    before(() => {
      odd = makeOddRepository(gitaly.storagePath(), state);
      repository = new Repository(gitaly.connection, { storage: 'default', path: odd.relativePath });
    });

    test('finds the branches, tags and commits that git lists', async () => {
      const listed = (prefix: string): string[] =>
        latin1(gitItems(odd.path, ['for-each-ref', '--format=%(refname:lstrip=2)', prefix]));
      const expected = latin1(gitItems(odd.path, ['log', '--format=%H %T', 'main']));

      const branches = await Array.fromAsync(repository.branches());
      const tags = await Array.fromAsync(repository.tags());
      const logs = await Promise.all(
        (['date', 'topology'] as const).map((order) => Array.fromAsync(repository.log('main', { order }))),
      );

      assert.equal(await repository.exists(), true);
      assert.equal(
        await repository.defaultBranch(),
        state in DEFAULT_BRANCH ? DEFAULT_BRANCH[state] : 'main',
      );
      assert.deepEqual(latin1(branches.map(({ nameBytes }) => nameBytes)), listed('refs/heads/'));
      assert.deepEqual(latin1(tags.map(({ nameBytes }) => nameBytes)), listed('refs/tags/'));
      for (const log of logs) assert.deepEqual(log.map(({ id, tree }) => `${id} ${tree}`).sort(), expected);
    });

    test('reads each commit, its files and its changes', async () => {
      const root = odd.commits.get('root') ?? '';
      for (const [name, id] of odd.commits) {
        const commit = await repository.findCommit(id);

        assert.equal(commit?.id, id, name);
        assert.ok(!Number.isNaN(commit.author.date.valueOf()), name);
        if (!name.startsWith('tree-')) continue;
        const files = await Array.fromAsync(repository.files(id));
        assert.deepEqual(
          latin1(files.map(lineOf)),
          latin1(gitItems(odd.path, ['ls-tree', '-r', '-z', id], 0)),
          name,
        );
        const changes = await Array.fromAsync(repository.diff(root, id));
        const changed = gitItems(odd.path, ['diff-tree', '-r', '-z', '-M', '--name-only', root, id], 0);
        assert.deepEqual(latin1(changes.map(({ pathBytes }) => pathBytes)), latin1(changed), name);
      }
    });

    test('reads each file that git finds', async () => {
      for (const name of odd.trees.keys()) {
        const revision = odd.commits.get(`tree-${name}`) ?? '';
        const files = await Array.fromAsync(repository.files(revision));
        for (const { oid, path, pathBytes, type } of files) {
          // Of two entries with a name, git finds one or the other.
          if (type === 'submodule' || name === 'duplicates') continue;
          const read = repository.readBytes(revision, pathBytes);
          if (NOT_RESOLVED.test(path)) await assert.rejects(read, isNotFound);
          else assert.deepEqual(await read, gitBytes(odd.path, ['cat-file', 'blob', oid]), path);
        }
      }
    });
  });

function latin1(texts: readonly Buffer[]): string[] {
  return texts.map((text) => text.toString('latin1')).sort();
}

/** Returns the line of `git ls-tree`. */
function lineOf({ mode, oid, pathBytes, type }: FileEntry): Buffer {
  const kind = type === 'submodule' ? 'commit' : 'blob';
  return Buffer.concat([Buffer.from(`${mode.toString(8).padStart(6, '0')} ${kind} ${oid}\t`), pathBytes]);
}

const isNotFound = (error: unknown): boolean => error instanceof GitalyError && error.code === 'NOT_FOUND';
