import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Vote } from '#storage/lifecycle/voter';
import { referenceBackends } from '#testkit/repositories/init-repository';
import { writeOldGit } from '#testkit/repositories/old-git';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type TransactionHooks, transactionHooks } from '../transactions/transaction-hooks.ts';
import { setDefaultBranch } from './set-default-branch.ts';
import { updateReference } from './update-reference.ts';

const sha1 = (text: string): string => createHash('sha1').update(text).digest('hex');

interface Voting {
  readonly votes: string[];
  readonly errors: unknown[];
  readonly vote: Vote;
  readonly hooks: TransactionHooks;
}

/** Votes are written down; the `lose`-th is lost. */
function voting(lose = Infinity): Voting {
  const votes: string[] = [];
  const errors: unknown[] = [];
  const vote: Vote = async (phase, hash) => {
    votes.push(`${phase} ${Buffer.from(hash).toString('hex')}`);
    if (votes.length === lose) throw new Error('transaction was aborted');
  };
  return {
    votes,
    errors,
    vote,
    hooks: transactionHooks({ vote, onError: (error) => errors.push(error) }),
  };
}

test('a reference is written without hooks when nothing is voted on', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const newOid = fixture.runGit(repository.path, ['rev-parse', 'main']);

  await updateReference(repository, 'refs/heads/new', { newOid }, { hooks: undefined });

  assert.equal(fixture.runGit(repository.path, ['rev-parse', 'new']), newOid);
});

test('a symbolic reference stays, and the one that it leads to changes', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 2 });
  const newOid = fixture.runGit(repository.path, ['rev-parse', 'main~1']);

  await updateReference(repository, 'HEAD', { newOid }, { hooks: undefined });

  assert.equal(fixture.runGit(repository.path, ['symbolic-ref', 'HEAD']), 'refs/heads/main');
  assert.equal(fixture.runGit(repository.path, ['rev-parse', 'refs/heads/main']), newOid);
});

test('the nodes vote on what git is about to write, and on what it wrote', async () => {
  await using fixture = await StorageFixture.create();
  const cluster = voting();
  const repository = fixture.init('x.git', { commits: 1 });
  const newOid = fixture.runGit(repository.path, ['rev-parse', 'main']);

  await updateReference(repository, 'refs/heads/new', { newOid }, { hooks: cluster.hooks });

  const hash = sha1(`${'0'.repeat(40)} ${newOid} refs/heads/new\n`);
  assert.deepEqual(cluster.votes, [`prepared ${hash}`, `committed ${hash}`]);
  assert.deepEqual(cluster.errors, []);
});

test('a lost vote keeps the reference as it was', async () => {
  await using fixture = await StorageFixture.create();
  const cluster = voting(1);
  const repository = fixture.init('x.git', { commits: 1 });
  const newOid = fixture.runGit(repository.path, ['rev-parse', 'main']);

  const update = updateReference(repository, 'refs/heads/new', { newOid }, { hooks: cluster.hooks });

  await assert.rejects(update, { message: 'exit status 128' });
  assert.equal(fixture.runGit(repository.path, ['for-each-ref', 'refs/heads/new']), '');
  assert.equal(cluster.errors.length, 1);
});

for (const referenceBackend of referenceBackends()) {
  test(`HEAD may name a branch that does not exist: ${referenceBackend}`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { commits: 1, referenceBackend });

    await setDefaultBranch(repository, Buffer.from('refs/heads/new'), { hooks: undefined });

    assert.equal(fixture.runGit(repository.path, ['symbolic-ref', 'HEAD']), 'refs/heads/new');
  });

  test(`the nodes vote on a new HEAD: ${referenceBackend}`, async () => {
    await using fixture = await StorageFixture.create();
    const cluster = voting();
    const repository = fixture.init('x.git', { referenceBackend });

    await setDefaultBranch(repository, Buffer.from('refs/heads/new'), {
      hooks: cluster.hooks,
    });

    // A git that passes symbolic references to its hooks prints `<old> <new> HEAD`; with an older
    // one, this server votes on the file.
    const isByGit = repository.git.capabilities.symrefUpdate;
    const zeros = '0'.repeat(40);
    const hash = sha1(isByGit ? `${zeros} ref:refs/heads/new HEAD\n` : 'ref: refs/heads/new\n');
    assert.deepEqual(cluster.votes.slice(-2), [`prepared ${hash}`, `committed ${hash}`]);
    assert.equal(fixture.runGit(repository.path, ['symbolic-ref', 'HEAD']), 'refs/heads/new');
  });

  test(`a lost vote keeps HEAD as it was: ${referenceBackend}`, async () => {
    await using fixture = await StorageFixture.create();
    const cluster = voting(1);
    const repository = fixture.init('x.git', { referenceBackend });

    const change = setDefaultBranch(repository, Buffer.from('refs/heads/new'), {
      hooks: cluster.hooks,
    });

    await assert.rejects(change, /^GitalyError: commit: /);
    assert.equal(fixture.runGit(repository.path, ['symbolic-ref', 'HEAD']), 'refs/heads/main');
  });
}

// Its HEAD is a file that git requires but does not read.
test('HEAD of a reftable repository is left alone with a git that cannot change it', async (context) => {
  const directory = makeScratchDirectory('old-git');
  context.after(() => rmSync(directory, { recursive: true }));
  await using fixture = await StorageFixture.create({ binary: writeOldGit(directory) });
  const { path } = fixture.init('x.git');
  fixture.runGit(path, ['config', 'core.repositoryFormatVersion', '1']);
  fixture.runGit(path, ['config', 'extensions.refStorage', 'reftable']);
  const repository = fixture.storages.open({ storageName: 'default', relativePath: 'x.git' });
  const head = readFileSync(join(path, 'HEAD'), 'utf8');

  const change = setDefaultBranch(repository, Buffer.from('refs/heads/new'), { hooks: undefined });

  await assert.rejects(change, {
    message: 'commit: changing HEAD of a reftable repository needs git 2.46 or newer',
  });
  assert.equal(readFileSync(join(path, 'HEAD'), 'utf8'), head);
});

for (const name of ['main', 'HEAD', 'refs/heads/a..b', 'refs/heads/', 'refs/heads/x.lock', 'heads/x']) {
  test(`HEAD cannot be made to name ${name}`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git');

    const change = setDefaultBranch(repository, Buffer.from(name), { hooks: undefined });

    await assert.rejects(change, { message: `"${name}" is a malformed refname` });
  });
}
