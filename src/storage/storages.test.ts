import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { RepositoryCaches } from '#git/repository-caches';
import { assertCpuBelow } from '#testkit/measure/cpu-limit';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { quarantinePrefix } from './quarantine/quarantine-path.ts';
import type { RepositoryTarget } from './repository-target.ts';

const at = (relativePath: string, more: Partial<RepositoryTarget> = {}): RepositoryTarget => ({
  storageName: 'default',
  relativePath,
  ...more,
});

function refusal(run: () => unknown): { code: string; message: string } {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof GitalyError, String(error));
    return { code: error.code, message: error.message };
  }
  return assert.fail('was not refused');
}

/** Returns a time for which the state of a repository is settled at once. */
const laterThanAnyChange = () => Date.now() + 10_000;

const ESCAPES = { code: 'INVALID_ARGUMENT', message: 'relative path escapes root directory' };

test('open refuses a target in the order and the words that clients know', async () => {
  await using fixture = await StorageFixture.create();
  const { storages } = fixture;
  fixture.init('x.git');
  const invalid = (message: string) => ({ code: 'INVALID_ARGUMENT', message });

  assert.deepEqual(
    refusal(() => storages.open(undefined)),
    invalid('repository not set'),
  );
  assert.deepEqual(
    refusal(() => storages.open({ storageName: '', relativePath: '' })),
    invalid('repository not set'),
  );
  assert.deepEqual(
    refusal(() => storages.open({ storageName: 'nope', relativePath: '' })),
    invalid('repository path not set'),
  );
  assert.deepEqual(
    refusal(() => storages.open({ storageName: '', relativePath: '../x' })),
    invalid('storage name not set'),
  );
  assert.deepEqual(
    refusal(() => storages.open({ storageName: 'nope', relativePath: '../x' })),
    invalid('storage name not found'),
  );
  assert.deepEqual(
    refusal(() => storages.open(at('absent.git'))),
    { code: 'NOT_FOUND', message: 'repository not found' },
  );

  rmSync(`${fixture.root}/second`, { recursive: true });
  const gone = refusal(() => storages.open({ storageName: 'second', relativePath: '../x' }));
  assert.deepEqual(gone, { code: 'NOT_FOUND', message: 'storage does not exist' });
});

test('a repository has objects, refs and HEAD, and the first that is missing is named', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');

  for (const [remove, named] of [
    ['HEAD', 'HEAD'],
    ['refs', 'refs'],
    ['objects', 'objects'],
  ] as const) {
    rmSync(`${repository.path}/${remove}`, { recursive: true });
    const expected = {
      code: 'FAILED_PRECONDITION',
      message: `repository not valid: "${named}" does not exist`,
    };
    assert.deepEqual(
      refusal(() => fixture.storages.open(at('x.git'))),
      expected,
    );
  }
});

test('a file in place of a repository is an error of the caller, or internal on request', async () => {
  await using fixture = await StorageFixture.create();
  writeFileSync(`${fixture.storage.path}/file`, '');

  const message = 'validate git directory: not a directory';
  assert.deepEqual(
    refusal(() => fixture.storages.open(at('file'))),
    { code: 'INVALID_ARGUMENT', message },
  );
  assert.deepEqual(
    refusal(() => fixture.storages.open(at('file'), { otherwise: 'INTERNAL' })),
    { code: 'INTERNAL', message },
  );
  const below = refusal(() => fixture.storages.open(at('file/x.git')));
  assert.equal(
    below.message,
    `validate git directory: stat: stat ${fixture.storage.path}/file/x.git: not a directory`,
  );
});

test('a path means the same with dots, slashes before, after and in between', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('a/x.git');

  for (const given of ['a/x.git', '/a/x.git', './a/x.git', 'a/x.git/', 'a//x.git', 'b/../a/x.git']) {
    const repository = fixture.storages.open(at(given));
    assert.deepEqual([repository.path, repository.relativePath], [path, 'a/x.git']);
  }
});

test('no path leaves its storage by dots', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('x.git');

  for (const given of ['..', '../default/x.git', 'a/../../x.git', '/../x.git']) {
    assert.deepEqual(
      refusal(() => fixture.storages.open({ storageName: 'second', relativePath: given })),
      ESCAPES,
      given,
    );
    assert.deepEqual(
      refusal(() => fixture.storages.locate({ storageName: 'second', relativePath: given })),
      ESCAPES,
      given,
    );
  }
});

test('an absolute path is one below the storage', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('x.git');

  assert.deepEqual(
    refusal(() => fixture.storages.open({ storageName: 'second', relativePath: path })),
    {
      code: 'NOT_FOUND',
      message: 'repository not found',
    },
  );
});

test('a NUL in a path is refused', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('a');

  const message = `validate git directory: stat: stat ${fixture.storage.path}/a\0b: invalid argument`;
  assert.deepEqual(
    refusal(() => fixture.storages.open(at('a\0b'))),
    { code: 'INVALID_ARGUMENT', message },
  );
});

test('a linked directory does not lead out of the storage', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('group/x.git');
  mkdirSync(`${fixture.root}/outside`);
  fixture.runGit(fixture.root, ['init', '--quiet', '--bare', 'outside/y.git']);
  symlinkSync('../outside', `${fixture.storage.path}/link`);
  symlinkSync('group', `${fixture.storage.path}/inside`);

  assert.deepEqual(
    refusal(() => fixture.storages.open(at('link/y.git'))),
    ESCAPES,
  );
  assert.deepEqual(
    refusal(() => fixture.storages.locate(at('link/new.git'))),
    ESCAPES,
  );
  assert.deepEqual(
    refusal(() => fixture.storages.locate(at('link/deeper/new.git'))),
    ESCAPES,
  );
  assert.equal(fixture.storages.open(at('inside/x.git')).relativePath, 'inside/x.git');
});

// Each parent directory was looked up with its whole name: 8 s of the event loop.
test('a path that is longer than the kernel takes is looked up in little time', async () => {
  await using fixture = await StorageFixture.create();
  symlinkSync('..', `${fixture.storage.path}/link`);
  const deep = 'refs/'.repeat(80_000);
  await assertCpuBelow(2000, () => {
    assert.equal(fixture.storages.locate(at(`a/${deep}`)).relativePath, `a/${deep.slice(0, -1)}`);
    assert.deepEqual(
      refusal(() => fixture.storages.locate(at(`link/${deep}`))),
      ESCAPES,
    );
  });
});

test('a link inside a repository does not lead out of the storage', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('x.git');
  fixture.runGit(fixture.root, ['init', '--quiet', '--bare', 'outside.git']);
  mkdirSync(`${path}/custom_hooks`);
  symlinkSync(`${fixture.root}/outside.git`, `${path}/custom_hooks/y.git`);

  assert.deepEqual(
    refusal(() => fixture.storages.open(at('x.git/custom_hooks/y.git'))),
    ESCAPES,
  );
});

test('a repository that an operator moved to another disk and linked is opened', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('x.git', { commits: 1 });

  renameSync(path, `${fixture.root}/moved.git`);
  symlinkSync('../moved.git', path);

  assert.equal(fixture.storages.open(at('x.git')).path, path);
});

// A comparison of all repositories replaced those that calls use.
test('a repository that was opened with caches of its own is checked at the next opening', async () => {
  await using fixture = await StorageFixture.create({ now: laterThanAnyChange });
  const { storage, storages } = fixture;
  const caches = new RepositoryCaches(fixture.git);
  fixture.runGit(storage.path, ['init', '--quiet', '--bare', 'group/x.git']); // opened by nobody
  storages.open(at('group/x.git'), { caches });

  renameSync(`${storage.path}/group`, `${fixture.root}/group`);
  symlinkSync('../group', `${storage.path}/group`);

  assert.deepEqual(
    refusal(() => storages.open(at('group/x.git'))),
    ESCAPES,
  );
});

test('a change of a repository that was opened before is seen', async () => {
  await using fixture = await StorageFixture.create({ now: laterThanAnyChange });
  const { path } = fixture.init('x.git');
  fixture.storages.open(at('x.git'));

  rmSync(`${path}/HEAD`);
  assert.equal(refusal(() => fixture.storages.open(at('x.git'))).code, 'FAILED_PRECONDITION');

  rmSync(path, { recursive: true });
  utimesSync(fixture.storage.path, 0, 0);
  assert.equal(refusal(() => fixture.storages.open(at('x.git'))).code, 'NOT_FOUND');
});

test('a quarantine of the repository is honoured', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('x.git');
  const quarantine = `${quarantinePrefix('x.git')}1`;
  mkdirSync(`${fixture.storage.path}/+gitaly/tmp/${quarantine}`, { recursive: true });

  const repository = fixture.storages.open(
    at('x.git', {
      gitObjectDirectory: `../+gitaly/tmp/${quarantine}`,
      gitAlternateObjectDirectories: ['objects', '/incoming'],
    }),
  );

  assert.equal(repository.objectDirectory, `${fixture.storage.path}/+gitaly/tmp/${quarantine}`);
  assert.deepEqual(repository.alternateObjectDirectories, [`${path}/objects`, `${path}/incoming`]);
});

for (const directory of ['tx/1/quarantine', 'tx/1/quarantine/tmp_objdir-incoming-1']) {
  test(`the quarantine of a transaction is measured, but not read: ${directory}`, async () => {
    await using fixture = await StorageFixture.create();
    fixture.init('x.git');
    const target = at('x.git', { gitObjectDirectory: `../${directory}` });
    assert.equal(refusal(() => fixture.storages.objectDirectory(target)).code, 'NOT_FOUND');

    mkdirSync(`${fixture.storage.path}/${directory}`, { recursive: true });

    assert.equal(fixture.storages.objectDirectory(target), `${fixture.storage.path}/${directory}`);
    assert.equal(refusal(() => fixture.storages.open(target)).code, 'INTERNAL');
  });
}

for (const [what, directory] of [
  ['another repository', '../y.git/objects'],
  ['outside of the storage', '../../x'],
  ['a quarantine of another repository', `../+gitaly/tmp/${quarantinePrefix('y.git')}1`],
  ['the whole of the scratch space', '../+gitaly/tmp'],
  ['the target of a link', 'link'],
  ['a link that has the name of a quarantine', 'quarantine'],
  ['a directory in the quarantine of a transaction', '../tx/quarantine/pack'],
] as const) {
  test(`an object directory that is ${what} is refused`, async () => {
    await using fixture = await StorageFixture.create();
    const { path } = fixture.init('x.git');
    fixture.init('y.git');
    symlinkSync('../y.git/objects', `${path}/link`);
    symlinkSync('/', `${path}/quarantine`);

    const code = 'INTERNAL';
    assert.equal(
      refusal(() => fixture.storages.open(at('x.git', { gitObjectDirectory: directory }))).code,
      code,
    );
    assert.equal(
      refusal(() =>
        fixture.storages.open(at('x.git', { gitAlternateObjectDirectories: ['objects', directory] })),
      ).code,
      code,
    );
    assert.equal(
      refusal(() => fixture.storages.objectDirectory(at('x.git', { gitObjectDirectory: directory }))).code,
      'INVALID_ARGUMENT',
    );
  });
}

test('opening a known repository takes a few microseconds', async () => {
  await using fixture = await StorageFixture.create({ now: laterThanAnyChange });
  fixture.init('x.git');
  const target = at('x.git');

  await assertCpuBelow(50, () => {
    for (let count = 0; count < 1000; count++) fixture.storages.open(target);
  });
});
