import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initRepository, initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { ObjectFormat } from '#wire/gen/shared_pb';

const repository = { storageName: 'default', relativePath: 'group/x.git' };
const bytes = (text: string) => Buffer.from(text);

for (const [objectFormat, name] of [
  [ObjectFormat.SHA1, 'sha1'],
  [ObjectFormat.SHA256, 'sha256'],
] as const) {
  test(`a ${name} repository lives from its creation to its removal`, async () => {
    await using gitaly = await startGitaly();
    const { repository: calls } = gitaly.connection;
    const exists = async () => (await calls.repositoryExists({ repository })).exists;
    assert.equal(await exists(), false);

    await calls.createRepository({ repository, objectFormat, defaultBranch: bytes('trunk') });

    assert.equal(await exists(), true);
    assert.equal((await calls.objectFormat({ repository })).format, objectFormat);
    assert.equal((await calls.hasLocalBranches({ repository })).value, false);
    const head = await gitaly.connection.ref.findDefaultBranchName({ repository, headOnly: true });
    assert.equal(Buffer.from(head.name).toString(), 'refs/heads/trunk');

    await calls.removeRepository({ repository });

    assert.equal(await exists(), false);
    assert.deepEqual(readdirSync(join(gitaly.storagePath(), 'group')), []);
    await assert.rejects(calls.removeRepository({ repository }), {
      code: 'NOT_FOUND',
      message: 'repository not found',
    });
  });
}

test('a repository that was removed and made anew is not answered for by the old one', async () => {
  await using gitaly = await startGitaly();
  const directory = join(gitaly.storagePath(), 'group/x.git');
  const find = async () =>
    (await gitaly.connection.commit.findCommit({ repository, revision: bytes('main') })).commit?.id;
  initRepository(directory, { commits: 2 });
  const old = await find();

  await gitaly.connection.repository.removeRepository({ repository });
  await gitaly.connection.repository.createRepository({ repository, objectFormat: ObjectFormat.SHA256 });

  assert.notEqual(old, undefined);
  assert.equal(await find(), undefined);
  assert.equal(
    (await gitaly.connection.commit.findCommit({ repository, revision: bytes(old ?? '') })).commit,
    undefined,
  );
});

test('of many that create the same repository at once one wins', async () => {
  await using gitaly = await startGitaly();

  const results = await Promise.allSettled(
    Array.from({ length: 10 }, () => gitaly.connection.repository.createRepository({ repository })),
  );

  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.equal(
    gitOutput(join(gitaly.storagePath(), 'group/x.git'), ['rev-parse', '--is-bare-repository']),
    'true',
  );
});

test('creating a repository that exists says so and leaves it alone', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'group/x.git', { commits: 1 });

  const again = gitaly.connection.repository.createRepository({ repository });

  await assert.rejects(again, {
    code: 'ALREADY_EXISTS',
    message: 'creating repository: repository exists already',
  });
  assert.equal(gitOutput(directory, ['rev-list', '--count', 'main']), '1');
});

test('WriteRef creates, moves and deletes a reference', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'group/x.git', { commits: 2 });
  const { repository: calls } = gitaly.connection;
  const ref = bytes('refs/keep-around/x');
  const target = () => gitOutput(directory, ['for-each-ref', '--format=%(objectname)', 'refs/keep-around/x']);
  const [second, first] = gitOutput(directory, ['rev-list', 'main']).split('\n');

  await calls.writeRef({ repository, ref, revision: bytes('main~1') });
  assert.equal(target(), first);
  await calls.writeRef({ repository, ref, revision: bytes('main'), oldRevision: bytes('main~1') });
  assert.equal(target(), second);
  await calls.writeRef({
    repository,
    ref,
    revision: bytes('0'.repeat(40)),
    oldRevision: bytes(second ?? ''),
  });
  assert.equal(target(), '');
});

test('an object directory with a name that is too long is reported as Go does', async () => {
  await using gitaly = await startGitaly();
  await gitaly.connection.repository.createRepository({ repository });
  const gitObjectDirectory = 'x'.repeat(300);

  const call = gitaly.connection.repository.writeRef({
    repository: { ...repository, gitObjectDirectory },
    ref: bytes('refs/heads/main'),
    revision: bytes('main'),
  });

  await assert.rejects(call, (error: Error) => {
    assert.doesNotMatch(error.message, /ENAMETOOLONG/);
    assert.match(error.message, /stat .*: file name too long$/);
    return true;
  });
});

test('WriteRef refuses a change that comes too late', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'group/x.git', { commits: 2 });
  const ref = bytes('refs/heads/main');
  const write = (oldRevision: string) =>
    gitaly.connection.repository.writeRef({
      repository,
      ref,
      revision: bytes('main~1'),
      oldRevision: bytes(oldRevision),
    });

  await assert.rejects(write('main~1'), {
    code: 'INTERNAL',
    message: 'error when running update-ref command: reference does not point to expected object',
  });
  await assert.rejects(write('0'.repeat(40)), {
    message: 'error when running update-ref command: reference already exists',
  });
  await assert.rejects(write('gone'), {
    code: 'NOT_FOUND',
    message: 'resolving old revision: reference not found',
  });
  writeFileSync(join(directory, 'refs/heads/main.lock'), '');
  await assert.rejects(write('main'), { code: 'ABORTED' });
});

test('WriteRef tells of a missing object before anything else', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'group/x.git', { commits: 2 });
  const ref = bytes('refs/heads/main');
  const revision = bytes('1'.repeat(40));
  const missing = { code: 'NOT_FOUND', message: 'resolving new revision: reference not found' };
  const write = (oldRevision: string) =>
    gitaly.connection.repository.writeRef({ repository, ref, revision, oldRevision: bytes(oldRevision) });

  await assert.rejects(write(''), missing);
  await assert.rejects(write('main~1'), missing);
  await assert.rejects(write('gone'), missing);
  writeFileSync(join(directory, 'refs/heads/main.lock'), '');
  await assert.rejects(write('main'), missing);
});

test('of concurrent updates of one reference one wins, or all in a row', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'group/x.git', { commits: 2 });
  const [second = '', first = ''] = gitOutput(directory, ['rev-list', 'main']).split('\n');
  const request = {
    repository,
    ref: bytes('refs/heads/main'),
    revision: bytes(first),
    oldRevision: bytes(second),
  };

  const results = await Promise.allSettled(
    Array.from({ length: 8 }, () => gitaly.connection.repository.writeRef(request)),
  );

  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.equal(gitOutput(directory, ['rev-parse', 'main']), first);
  assert.equal(existsSync(join(directory, 'refs/heads/main.lock')), false);
});

test('RepositorySize counts whole KiB of what the repository itself holds', async () => {
  await using gitaly = await startGitaly();
  const directory = initServed(gitaly, 'group/x.git');
  const { repository: calls } = gitaly.connection;
  const before = (await calls.repositoryInfo({ repository })).size;
  writeFileSync(join(directory, 'objects/large'), Buffer.alloc(100_000));

  const { size } = await calls.repositorySize({ repository });

  assert.equal(size, (before + 100_000n) / 1024n);
  const objects = await calls.getObjectDirectorySize({
    repository: { ...repository, gitObjectDirectory: 'objects' },
  });
  assert.equal(objects.size, 97n);
});

test('a call for a repository whose client gave up does nothing more', async () => {
  await using gitaly = await startGitaly();

  const create = gitaly.connection.repository.createRepository(
    { repository },
    { signal: AbortSignal.timeout(1) },
  );

  const outcome = await create.then(
    () => 'created',
    () => 'gave up',
  );
  const isThere = existsSync(join(gitaly.storagePath(), 'group/x.git/HEAD'));
  // The client may be too late, or the server may still have finished; but a repository is never
  // half created.
  if (outcome === 'created') assert.ok(isThere);
  if (isThere)
    assert.equal(
      gitOutput(join(gitaly.storagePath(), 'group/x.git'), ['rev-parse', '--is-bare-repository']),
      'true',
    );
});
