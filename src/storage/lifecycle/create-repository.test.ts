import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { test } from 'node:test';
import { GitalyError, messageOf } from '#base/gitaly-error';
import { writeOldGit } from '#testkit/repositories/old-git';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { lockRepository } from '../locks/repository-lock.ts';
import { tempRoot } from '../storage-layout.ts';
import { type CreateRepositoryOptions, createRepository } from './create-repository.ts';
import { renameRepository } from './rename-repository.ts';
import { repositoryVote } from './repository-vote.ts';

const TARGET = { storageName: 'default', relativePath: 'new/repo.git' };

function leftovers(fixture: StorageFixture): string[] {
  return existsSync(tempRoot(fixture.storage)) ? readdirSync(tempRoot(fixture.storage)) : [];
}

async function refused(fixture: StorageFixture, options: CreateRepositoryOptions = {}): Promise<GitalyError> {
  const error = await createRepository(fixture.storages, TARGET, options).then(
    () => assert.fail('was created'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof GitalyError, String(error));
  assert.deepEqual(leftovers(fixture), []);
  return error;
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a new ${objectFormat} repository is empty, bare and what git would make`, async () => {
    await using fixture = await StorageFixture.create();

    const { path } = await createRepository(fixture.storages, TARGET, {
      objectFormat,
      initialBranch: Buffer.from('trunk'),
    });

    assert.equal(readFileSync(`${path}/HEAD`, 'utf8'), 'ref: refs/heads/trunk\n');
    assert.deepEqual(readdirSync(path).sort(), [
      '.gitaly-full-repack-timestamp',
      'HEAD',
      'config',
      'objects',
      'refs',
    ]);
    assert.equal(
      fixture.runGit(path, ['rev-parse', '--show-object-format', '--is-bare-repository']),
      `${objectFormat}\ntrue`,
    );
    assert.equal(statSync(path).mode & 0o777, 0o700);
    assert.deepEqual(readdirSync(`${fixture.storage.path}/new`), ['repo.git']);
    assert.deepEqual(leftovers(fixture), []);
  });
}

test('HEAD of a new repository is main unless something else is asked for', async () => {
  await using fixture = await StorageFixture.create();

  const { path } = await createRepository(fixture.storages, TARGET);

  assert.equal(readFileSync(`${path}/HEAD`, 'utf8'), 'ref: refs/heads/main\n');
});

test('a git with other defaults makes the same repositories', async () => {
  await using plain = await StorageFixture.create();
  const binary = `${plain.root}/git`;
  const defaults =
    '-c init.defaultRefFormat=reftable -c init.defaultObjectFormat=sha256 -c init.defaultBranch=x';
  writeFileSync(binary, `#!/bin/sh\nexec git ${defaults} "$@"\n`, { mode: 0o755 });
  await using other = await StorageFixture.create({ binary });

  const [{ path: expected }, { path: actual }] = await Promise.all([
    createRepository(plain.storages, TARGET),
    createRepository(other.storages, TARGET),
  ]);

  assert.deepEqual(readdirSync(actual), readdirSync(expected));
  for (const file of ['HEAD', 'config']) {
    assert.equal(readFileSync(`${actual}/${file}`, 'utf8'), readFileSync(`${expected}/${file}`, 'utf8'));
  }
});

test('the nodes of a cluster agree on a repository, whatever their gits can do', async () => {
  await using plain = await StorageFixture.create();
  await using old = await StorageFixture.create({ binary: writeOldGit(plain.root) });

  const votes = await Promise.all(
    [plain, old].flatMap((fixture) =>
      [0, 2].map((commits) =>
        repositoryVote(fixture.init(`${commits}.git`, { commits })).then((vote) =>
          Buffer.from(vote).toString('hex'),
        ),
      ),
    ),
  );

  assert.deepEqual(votes.slice(0, 2), votes.slice(2));
  assert.notEqual(votes[0], votes[1]);
});

for (const [what, make] of [
  ['an empty directory', (path: string) => mkdirSync(path, { recursive: true })],
  ['a file', (path: string) => writeFileSync(path, 'x')],
  ['a link to something', (path: string) => symlinkSync('..', path)],
] as const) {
  test(`nothing is created in the place of ${what}`, async () => {
    await using fixture = await StorageFixture.create();
    mkdirSync(`${fixture.storage.path}/new`);
    make(`${fixture.storage.path}/new/repo.git`);

    const error = await refused(fixture);

    assert.deepEqual([error.code, error.message], ['ALREADY_EXISTS', 'repository exists already']);
  });
}

// Symptom: git found broken references in the other repository, and refused to repack it.
for (const inner of ['refs/x.git', 'refs/heads/deep/x.git', 'objects/x.git', 'worktrees', 'reftable/x.git'])
  test(`nothing is created in ${inner} of another repository, and nothing moved there`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('new', { commits: 1 });
    const other = fixture.init('other.git');
    const target = { storageName: 'default', relativePath: `new/${inner}` };
    const refusal = {
      code: 'INVALID_ARGUMENT',
      message: 'the path is among the files of another repository',
    };

    await assert.rejects(createRepository(fixture.storages, target), refusal);
    const location = fixture.storages.locate(target);
    await assert.rejects(renameRepository(fixture.storages, other, location), refusal);

    assert.equal(fixture.runGit(repository.path, ['fsck', '--no-progress']), '');
    assert.deepEqual(leftovers(fixture), []);
  });

test('a repository is created next to the files of another one, and in a group called refs', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('new', { commits: 1 });

  for (const relativePath of ['new/repo.git', 'refs/x.git', 'new/repo.git.d/objects'])
    await createRepository(fixture.storages, { storageName: 'default', relativePath });
});

// Born failing with INTERNAL `moving repository into place: rename … directory not empty`.
test('a repository that something else creates meanwhile is not replaced', async () => {
  await using fixture = await StorageFixture.create();
  const path = `${fixture.storage.path}/new/repo.git`;
  const vote = async (phase: string): Promise<void> => {
    if (phase === 'prepared') mkdirSync(`${path}/objects`, { recursive: true });
  };

  const error = await refused(fixture, { vote });

  assert.deepEqual([error.code, error.message], ['ALREADY_EXISTS', 'repository exists already']);
});

test('a link to nothing is not replaced', async () => {
  await using fixture = await StorageFixture.create();
  mkdirSync(`${fixture.storage.path}/new`);
  symlinkSync('nowhere', `${fixture.storage.path}/new/repo.git`);

  const error = await refused(fixture);

  assert.match(error.message, /^moving repository into place: rename \S+ \S+: not a directory$/);
});

test('a locked place is left alone', async () => {
  await using fixture = await StorageFixture.create();
  mkdirSync(`${fixture.storage.path}/new`);
  await using _lock = await lockRepository(fixture.storage, `${fixture.storage.path}/new/repo.git`);

  const error = await refused(fixture);

  assert.deepEqual([error.code, error.message], ['INTERNAL', 'locking repository: file already locked']);
});

test('a NUL in the path is refused', async () => {
  await using fixture = await StorageFixture.create();

  const create = createRepository(fixture.storages, { storageName: 'default', relativePath: 'a\0b' });

  const message = `pre-lock stat: stat ${fixture.storage.path}/a\0b: invalid argument`;
  await assert.rejects(create, { code: 'INTERNAL', message });
});

test('git\u2019s words about a bad branch reach the client', async () => {
  await using fixture = await StorageFixture.create();

  const error = await refused(fixture, { initialBranch: Buffer.from('./.lock') });

  assert.equal(error.code, 'INTERNAL');
  assert.equal(
    error.message,
    `creating repository: exit status 128, stderr: "fatal: invalid initial branch name: './.lock'\\n"`,
  );
});

test('a failing seed leaves nothing behind', async () => {
  await using fixture = await StorageFixture.create();
  let draft = '';
  const seed = async (repository: { path: string }) => {
    draft = repository.path;
    throw new GitalyError('NOT_FOUND', 'no seed');
  };

  const error = await refused(fixture, { seed });

  assert.equal(error.code, 'NOT_FOUND');
  assert.equal(existsSync(draft), false);
  assert.equal(existsSync(`${fixture.storage.path}/new/repo.git`), false);
});

test('the nodes vote on config and references, before and after the repository appears', async () => {
  await using fixture = await StorageFixture.create();
  const path = `${fixture.storage.path}/new/repo.git`;
  const votes: string[] = [];

  await createRepository(fixture.storages, TARGET, {
    seed: async (draft) => {
      fixture.commit(draft.path);
    },
    vote: async (phase, hash) => {
      votes.push(`${phase} ${Buffer.from(hash).toString('hex')} ${existsSync(path)}`);
    },
  });

  const oid = fixture.runGit(path, ['rev-parse', 'main']);
  const lines = `HEAD ${oid} refs/heads/main\nrefs/heads/main ${oid} \n`;
  const hash = createHash('sha1')
    .update(`${fixture.runGit(path, ['config', '--file', 'config', '--list'])}\n`)
    .update(lines)
    .digest('hex');
  assert.deepEqual(votes, [`preparing ${hash} false`, `prepared ${hash} false`, `committed ${hash} true`]);
});

test('a refused vote leaves nothing behind', async () => {
  await using fixture = await StorageFixture.create();
  const vote = async () => {
    throw new Error('transaction was aborted');
  };

  const error = await refused(fixture, { vote });

  assert.deepEqual(
    [error.code, error.message],
    ['FAILED_PRECONDITION', 'preparatory vote: transaction was aborted'],
  );
  assert.deepEqual(readdirSync(`${fixture.storage.path}/new`), []);
});

test('an abort leaves nothing behind', async () => {
  await using fixture = await StorageFixture.create();
  const controller = new AbortController();
  const seed = async () => controller.abort();

  await assert.rejects(createRepository(fixture.storages, TARGET, { seed, signal: controller.signal }));

  assert.deepEqual(leftovers(fixture), []);
  assert.equal(existsSync(`${fixture.storage.path}/new/repo.git`), false);
});

test('of many that create the same repository at once one wins', async () => {
  await using fixture = await StorageFixture.create();

  const results = await Promise.allSettled(
    Array.from({ length: 8 }, () => createRepository(fixture.storages, TARGET)),
  );

  assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
  for (const result of results) {
    if (result.status === 'rejected')
      assert.match(messageOf(result.reason), /repository exists already|file already locked/);
  }
  assert.deepEqual(leftovers(fixture), []);
  assert.deepEqual(readdirSync(`${fixture.storage.path}/new`), ['repo.git']);
});

test('a new repository is counted, and one that failed is not', async () => {
  await using fixture = await StorageFixture.create();
  const { storages, storage } = fixture;
  await storages.repositoryCounts.count(storage);
  const target = (relativePath: string) => ({ storageName: 'default', relativePath });

  await createRepository(storages, target('a/x.git'));
  await assert.rejects(createRepository(storages, target('a/x.git')), { code: 'ALREADY_EXISTS' });

  assert.deepEqual([...storages.repositoryCounts.entries()], [{ path: storage.path, prefix: 'a', count: 1 }]);
});
