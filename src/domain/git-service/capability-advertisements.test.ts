import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConfigPair } from '#git/command/config';
import type { Repository } from '#storage/repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { advertiseReferences } from './advertise-references.ts';
import { CapabilityAdvertisements } from './capability-advertisements.ts';

/** Makes the same request as the RPC, and counts how often git was started. */
function asker(repository: Repository, config: ConfigPair[] = []) {
  const advertisements = new CapabilityAdvertisements();
  let starts = 0;
  const produce = (settings: ConfigPair[]) => () => {
    starts++;
    const { signal } = new AbortController();
    return advertiseReferences(repository, {
      service: 'upload-pack',
      config: settings,
      gitProtocol: 'version=2',
      signal,
    });
  };
  return {
    ask: async (settings = config) =>
      Buffer.concat(
        await Array.fromAsync(advertisements.get(repository, settings, produce(settings))),
      ).toString(),
    git: async (settings = config) => Buffer.concat(await Array.fromAsync(produce(settings)())).toString(),
    starts: () => starts,
  };
}

test('an advertisement is remembered and the same as git gives', async () => {
  await using fixture = await StorageFixture.create();
  const { ask, git, starts } = asker(fixture.init('a.git'));
  const expected = await git();

  const answers = [await ask(), await ask(), await ask()];

  assert.deepEqual(answers, [expected, expected, expected]);
  assert.equal(starts(), 2); // one of them for the expectation
});

test('each set of settings of a request has an answer of its own', async () => {
  await using fixture = await StorageFixture.create();
  const { ask, git, starts } = asker(fixture.init('a.git'));
  const noFilter = [{ key: 'uploadpack.allowFilter', value: 'false' }];
  const [plain, without] = [await git(), await git(noFilter)];
  assert.notEqual(plain, without);

  for (let round = 0; round < 2; round++) {
    assert.equal(await ask(), plain);
    assert.equal(await ask(noFilter), without);
  }

  assert.equal(starts(), 4); // two of them for the expectations
});

test('an advertisement is not remembered when the request names further files', async () => {
  await using fixture = await StorageFixture.create();
  const { ask, starts } = asker(fixture.init('a.git'), [{ key: 'include.path', value: '/dev/null' }]);

  await ask();
  await ask();

  assert.equal(starts(), 2);
});

test('a change of the repository’s settings shows at once', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git');
  const { ask, git } = asker(repository);
  const before = await ask();

  fixture.runGit(repository.path, ['config', 'lsrefs.unborn', 'ignore']);

  assert.notEqual(await ask(), before);
  assert.equal(await ask(), await git());
});

for (const [what, key, value] of [
  ['a session id', 'transfer.advertiseSID', 'true'],
  ['settings from another file', 'include.path', '/dev/null'],
  ['settings of worktrees', 'extensions.worktreeConfig', 'true'],
] as const) {
  test(`an advertisement with ${what} is never remembered`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('a.git');
    fixture.runGit(repository.path, ['config', key, value]);
    const { ask, starts } = asker(repository);

    await ask();
    await ask();

    assert.equal(starts(), 2);
  });
}
