import assert from 'node:assert/strict';
import { cpSync, createReadStream } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fetchBundle } from '#domain/bundle/fetch-bundle';
import { runRecorded } from '#domain/transactions/run-recorded';
import { transactionHooks } from '#domain/transactions/transaction-hooks';
import { flag, gitCommand } from '#git/command/git-command';
import type { Repository } from '#storage/repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { recordingHook } from '#testkit/repositories/votes-of-hook';
import { fetchVoted } from './fetch-voted.ts';

const { signal } = new AbortController();
const REFSPEC = '+refs/*:refs/*';
/** As RewriteHistory. */
const OPTIONS = ['--prune', '--no-tags', '--force', '--atomic', '--no-write-fetch-head', '--quiet'];

interface Case {
  readonly target: Repository;
  readonly source: string;
  git(path: string, ...args: string[]): string;
}

/** Makes a repository, and a source with new, moved and removed references of several kinds. */
function makeCase(fixture: StorageFixture, objectFormat: 'sha1' | 'sha256'): Case {
  const target = fixture.init('target.git', { commits: 3, objectFormat });
  const git = (path: string, ...args: string[]): string => fixture.runGit(path, args);
  const refs = (path: string, names: readonly string[], value: string): void => {
    for (const name of names) git(path, 'update-ref', `refs/${name}`, value);
  };
  // HEAD leads to none of the references: older versions of git add lines for its reflog.
  git(target.path, 'symbolic-ref', 'HEAD', 'refs/heads/none');
  refs(
    target.path,
    ['heads/moved', 'heads/rewound', 'tags/moved', 'keep/x', 'heads/gone', 'x/gone'],
    'main~1',
  );
  git(target.path, 'pack-refs', '--all');
  refs(target.path, ['heads/loose-gone', 'misc/tree'], 'main~1');
  const source = join(fixture.root, 'source.git');
  cpSync(target.path, source, { recursive: true });
  refs(source, ['heads/moved', 'tags/moved', 'a/new', 'heads/new', 'tags/new'], 'main');
  refs(source, ['heads/rewound'], 'main~2');
  refs(source, ['misc/tree', 'misc/new-tree'], 'main^{tree}');
  for (const name of ['heads/gone', 'x/gone', 'heads/loose-gone'])
    git(source, 'update-ref', '-d', `refs/${name}`);
  return { target, source, git };
}

/** Returns the votes of git's hook, in a copy of the repository. */
function votesOfGit(fixture: StorageFixture, { git, target }: Case, args: readonly string[]): string[] {
  const copy = join(fixture.root, 'copy.git');
  cpSync(target.path, copy, { recursive: true });
  using hook = recordingHook(join(fixture.root, 'hook'));
  git(copy, '-c', `core.hooksPath=${hook.directory}`, ...args);
  return hook.votes();
}

function recordingVotes(lose = Infinity) {
  const votes: string[] = [];
  const hooks = transactionHooks({
    vote: async (phase, hash) => {
      votes.push(`${phase} ${Buffer.from(hash).toString('hex')}`);
      if (votes.length === lose) throw new Error('transaction was aborted');
    },
    onError: () => {},
  });
  return { votes, hooks };
}

function fetchAll({ source, target }: Case, hooks: ReturnType<typeof transactionHooks>) {
  const command = gitCommand('fetch', { options: OPTIONS.map(flag), args: [`file://${source}`, REFSPEC] });
  const fetch = async (into: Repository) => (await runRecorded(into, command, { signal })).failure;
  return fetchVoted(target, fetch, { hooks, signal });
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a fetch that prunes votes as git's hook: ${objectFormat}`, async () => {
    await using fixture = await StorageFixture.create();
    const made = makeCase(fixture, objectFormat);
    const expected = votesOfGit(fixture, made, ['fetch', ...OPTIONS, `file://${made.source}`, REFSPEC]);
    const { votes, hooks } = recordingVotes();

    const failure = await fetchAll(made, hooks);

    assert.equal(failure, undefined);
    assert.equal(expected.length, 2);
    assert.deepEqual(votes, expected);
    assert.equal(made.git(made.target.path, 'show-ref'), made.git(made.source, 'show-ref'));
  });

  test(`the references of a bundle are voted on in the order of git: ${objectFormat}`, async () => {
    await using fixture = await StorageFixture.create();
    const made = makeCase(fixture, objectFormat);
    const bundle = join(fixture.root, 'x.bundle');
    const names = ['refs/tags/new', 'refs/heads/moved', 'refs/a/new', 'refs/tags/moved', 'refs/heads/new'];
    made.git(made.source, 'bundle', 'create', '--quiet', bundle, ...names);
    const remote = ['-c', `remote.x.url=${bundle}`, '-c', `remote.x.fetch=${REFSPEC}`];
    const fetch = ['fetch', '--atomic', '--no-write-fetch-head', '--quiet', 'x'];
    const expected = votesOfGit(fixture, made, [...remote, ...fetch]);
    const { votes, hooks } = recordingVotes();

    await fetchBundle(made.target, createReadStream(bundle), { updateHead: false, hooks, signal });

    assert.equal(expected.length, 2);
    assert.deepEqual(votes, expected);
    assert.equal(
      made.git(made.target.path, 'rev-parse', ...names),
      made.git(made.source, 'rev-parse', ...names),
    );
  });
}

test('a lost vote changes no reference and is a failure of git', async () => {
  await using fixture = await StorageFixture.create();
  const made = makeCase(fixture, 'sha1');
  const before = made.git(made.target.path, 'show-ref');

  const failure = await fetchAll(made, recordingVotes(1).hooks);

  assert.equal(failure?.message, 'exit status 128');
  assert.equal(made.git(made.target.path, 'show-ref'), before);
});

test('a fetch without news votes on nothing, and a failed one returns the words of git', async () => {
  await using fixture = await StorageFixture.create();
  const made = makeCase(fixture, 'sha1');
  const { votes, hooks } = recordingVotes();
  await fetchAll(made, hooks);
  assert.equal(votes.length, 2);

  assert.equal(await fetchAll(made, hooks), undefined);
  const failure = await fetchAll({ ...made, source: '/nowhere' }, hooks);

  assert.match(failure?.stderr ?? '', /does not appear to be a git repository|not exist/);
  assert.equal(votes.length, 2);
});
