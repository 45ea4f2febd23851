import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { standAloneApi } from '../gitlab-api/stand-alone-api.ts';
import { HookManager } from '../hooks/hook-manager.ts';
import { Voter } from '../transactions/voter.ts';
import { createBranch } from './create-branch.ts';
import { deleteWithHooks } from './delete-with-hooks.ts';
import { fastForward } from './fast-forward.ts';
import { setDefaultBranch } from './set-default-branch.ts';
import type { UpdateContext } from './update-with-hooks.ts';
import { writeReference } from './write-reference.ts';

const MISSING = '1'.repeat(40);

/** A repository whose `main` has two commits; `old` is at the first one. */
async function setUp() {
  const fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 2 });
  const { path } = repository;
  fixture.runGit(path, ['branch', 'old', 'main~1']);
  const oidOf = (name: string): string =>
    fixture.runGit(path, ['for-each-ref', '--format=%(objectname)', `refs/heads/${name}`]);
  const hooks = new HookManager({
    storages: fixture.storages,
    api: standAloneApi,
    voter: new Voter({ connect: () => assert.fail('nobody votes') }),
    customHooksDirectory: '',
  });
  const context: UpdateContext = {
    hooks,
    user: { username: 'jane', userId: 'user-1', protocol: 'web', remoteIp: '' },
    transaction: undefined,
    clientContext: undefined,
    correlationId: '',
    signal: new AbortController().signal,
  };
  return {
    repository,
    path,
    context,
    oidOf,
    first: oidOf('old'),
    second: oidOf('main'),
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}

const branch = (name: string): Buffer => Buffer.from(name);

test('a branch begins at any revision of a commit, and only once', async () => {
  await using bed = await setUp();
  const create = (name: string, startPoint: string) =>
    createBranch(
      bed.repository,
      { name: branch(name), startPoint: Buffer.from(startPoint), mailmap: false },
      bed.context,
    );

  assert.equal((await create('new', 'main~1')).oid, bed.first);
  assert.equal(bed.oidOf('new'), bed.first);
  await assert.rejects(create('new', 'main'), {
    name: 'UpdateFailedError',
    message: 'reference update: reference already exists',
  });
  assert.equal(bed.oidOf('new'), bed.first);
  for (const startPoint of ['gone', 'main\0x']) {
    await assert.rejects(create('other', startPoint), {
      code: 'FAILED_PRECONDITION',
      message: `revspec '${startPoint}' not found`,
    });
  }
});

test('a branch moves forward, and never back', async () => {
  await using bed = await setUp();
  const move = (name: string, commitOid: string, expectedOldOid = '') =>
    fastForward(bed.repository, { branch: branch(name), commitOid, expectedOldOid }, bed.context);

  await move('old', bed.second);
  assert.equal(bed.oidOf('old'), bed.second);

  await assert.rejects(move('old', bed.first), { code: 'FAILED_PRECONDITION', message: 'not fast forward' });
  await assert.rejects(move('old', 'x'), {
    code: 'INVALID_ARGUMENT',
    message: 'cannot parse commit ID: invalid object ID: "x", expected length 40, got 1',
  });
  await assert.rejects(move('old', MISSING), {
    message: `checking for ancestry: invalid commit: "${MISSING}"`,
  });
  await assert.rejects(move('gone', bed.second), { name: 'ReferenceNotFoundError' });
  // The branch has moved since the client looked.
  await assert.rejects(move('old', bed.second, bed.first), {
    message: 'reference update: reference does not point to expected object',
  });
  assert.equal(bed.oidOf('old'), bed.second);
});

test('a branch is deleted, if it has the value that the client expects', async () => {
  await using bed = await setUp();
  const remove = (name: string, expected = '') =>
    deleteWithHooks(bed.repository, { reference: branch(`refs/heads/${name}`), expected }, bed.context);

  await assert.rejects(remove('old', bed.second), {
    message: 'reference update: reference does not point to expected object',
  });
  assert.equal(bed.oidOf('old'), bed.first);
  await remove('old', bed.first);
  assert.equal(bed.oidOf('old'), '');
  await assert.rejects(remove('old'), { name: 'ReferenceNotFoundError' });
});

test('a reference is written by any revision, and an empty one names no object', async () => {
  await using bed = await setUp();
  const write = (revision: string, oldRevision = '') =>
    writeReference(
      bed.repository,
      {
        name: branch('refs/heads/old'),
        revision: Buffer.from(revision),
        oldRevision: Buffer.from(oldRevision),
      },
      { hooks: undefined },
    );

  await write('main');
  assert.equal(bed.oidOf('old'), bed.second);
  await write(bed.first, 'main');
  assert.equal(bed.oidOf('old'), bed.first);
  // git would take an empty value for a deletion.
  for (const missing of ['', MISSING, 'gone']) {
    await assert.rejects(write(missing), {
      name: 'UnknownRevisionError',
      message: 'resolving new revision: reference not found',
      revision: Buffer.from(missing),
    });
  }
  await assert.rejects(write(bed.second, 'gone'), {
    name: 'UnknownRevisionError',
    message: 'resolving old revision: reference not found',
  });
  await assert.rejects(write(bed.second, 'main'), {
    code: 'INTERNAL',
    message: 'error when running update-ref command: reference does not point to expected object',
  });
  writeFileSync(join(bed.path, 'refs/heads/old.lock'), '');
  await assert.rejects(write(bed.second), { code: 'ABORTED', message: 'reference is locked already' });
  assert.equal(bed.oidOf('old'), bed.first);
});

test('HEAD that another change holds is not set', async () => {
  await using bed = await setUp();
  writeFileSync(join(bed.path, 'HEAD.lock'), '');
  const options = { hooks: undefined, vote: undefined };

  const change = setDefaultBranch(bed.repository, Buffer.from('refs/heads/old'), options);

  await assert.rejects(change, { message: 'commit: reference is already locked' });
});
