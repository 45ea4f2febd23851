import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ConfigPair } from '#git/command/config';
import type { Repository } from '#storage/repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { advertiseReferences } from '../git-service/advertise-references.ts';
import { CapabilityAdvertisements } from '../git-service/capability-advertisements.ts';
import { advertiseToPush } from './advertise-to-push.ts';

interface Question {
  readonly config?: readonly ConfigPair[];
  readonly gitProtocol?: string;
}

const { signal } = new AbortController();

/** Asks twice, and git itself; how many processes the second question took. */
async function compare(
  t: TestContext,
  repository: Repository,
  { config = [], gitProtocol = '' }: Question = {},
) {
  const capabilities = new CapabilityAdvertisements();
  const ask = async () => {
    const chunks = advertiseToPush(repository, { config, gitProtocol, signal }, capabilities);
    return Buffer.concat(await Array.fromAsync(chunks)).toString('latin1');
  };
  const advertisement = { service: 'receive-pack', config, gitProtocol, signal } as const;
  const git = Buffer.concat(await Array.fromAsync(advertiseReferences(repository, advertisement))).toString(
    'latin1',
  );
  const first = await ask();
  const spawned = t.mock.method(repository.git, 'spawn');
  const second = await ask();
  const processes = spawned.mock.callCount();
  spawned.mock.restore();
  return { git, first, second, processes };
}

/** Branches, tags, hidden namespaces, a symbolic reference, some of them packed. */
function fill(fixture: StorageFixture, repository: Repository): void {
  const run = (...args: string[]): string => fixture.runGit(repository.path, args);
  const names = [
    'heads/b',
    'heads/b-1',
    'heads/a/1',
    'tags/light',
    'keep-around/x',
    'merge-requests/1/head',
    'notes/commits',
  ];
  for (const name of names) run('update-ref', `refs/${name}`, 'main');
  run('tag', '-m', 'x', 'annotated', 'main');
  run('pack-refs', '--all');
  run('symbolic-ref', 'refs/heads/symbolic', 'refs/heads/b');
  run('symbolic-ref', 'refs/heads/dangling', 'refs/heads/none');
  fixture.commit(repository.path, 2);
  run('update-ref', 'refs/heads/loose', 'main');
  run('update-ref', '-d', 'refs/heads/b-1');
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a push to a ${objectFormat} repository is told what git tells it, without a process`, async (t) => {
    await using fixture = await StorageFixture.create();
    const empty = fixture.init('empty.git', { objectFormat });
    const full = fixture.init('full.git', { commits: 1, objectFormat });
    fill(fixture, full);
    const hiding = [{ key: 'transfer.hideRefs', value: 'refs/tags' }];
    const showing = [{ key: 'receive.hideRefs', value: '!refs/keep-around' }];

    for (const [repository, config] of [
      [empty, []],
      [full, []],
      [full, hiding],
      [full, showing],
      [full, [{ key: 'receive.hideRefs', value: 'refs' }]],
      [full, [{ key: 'receive.advertiseAtomic', value: 'false' }]],
    ] as const) {
      const { git, first, second, processes } = await compare(t, repository, { config });
      assert.deepEqual([first, second, processes], [git, git, 0], JSON.stringify(config));
    }
  });
}

test('a short list comes at once, and a long one in pieces that a message holds', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git', { commits: 1 });
  const piecesOf = async (): Promise<Buffer[]> => {
    const asked = { config: [], gitProtocol: '', signal };
    return await Array.fromAsync(advertiseToPush(repository, asked, new CapabilityAdvertisements()));
  };
  assert.equal((await piecesOf()).length, 1);
  const oid = fixture.runGit(repository.path, ['rev-parse', 'main']);
  const lines = Array.from({ length: 5000 }, (_, index) => `create refs/heads/x/${index} ${oid}\n`);
  fixture.runGit(repository.path, ['update-ref', '--stdin'], lines.join(''));

  const pieces = await piecesOf();

  const sizes = pieces.map(({ length }) => length);
  assert.ok(Math.max(...sizes) <= 128 * 1024 && pieces.length < 6, String(sizes));
  assert.equal(
    Buffer.concat(pieces)
      .toString()
      .match(/ refs\/heads\/x\//g)?.length,
    lines.length,
  );
});

test('what has changed since is told', async (t) => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git', { commits: 1 });
  const before = await compare(t, repository);
  fixture.runGit(repository.path, ['update-ref', 'refs/heads/new', 'main']);
  const after = await compare(t, repository);
  fixture.runGit(repository.path, ['config', 'receive.advertiseAtomic', 'false']);
  const set = await compare(t, repository);

  assert.equal(after.second, after.git);
  assert.equal(set.second, set.git);
  assert.equal(new Set([before.second, after.second, set.second]).size, 3);
});

const LEFT_TO_GIT: Readonly<
  Record<string, { make?: (repository: Repository) => void; question?: Question }>
> = {
  'a shallow repository': {
    make: (repository) => {
      const oid = repository.objectFormat === 'sha1' ? '1'.repeat(40) : '1'.repeat(64);
      writeFileSync(join(repository.path, 'shallow'), `${oid}\n`);
    },
  },
  'protocol v1': { question: { gitProtocol: 'version=1' } },
  'a name that git does not allow': {
    make: ({ path }) => {
      mkdirSync(dirname(join(path, 'refs/heads/a name')), { recursive: true });
      writeFileSync(join(path, 'refs/heads/a name'), `${'1'.repeat(40)}\n`);
    },
  },
  'another command for the references of alternates': {
    question: { config: [{ key: 'core.alternateRefsCommand', value: 'echo' }] },
  },
};
for (const [what, { make, question }] of Object.entries(LEFT_TO_GIT)) {
  test(`${what} is left to git`, async (t) => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('a.git', { commits: 1 });
    make?.(repository);

    const { git, second, processes } = await compare(t, repository, question);

    assert.deepEqual([second, processes], [git, 1]);
  });
}

test('what is new in each conversation is never remembered', async (t) => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git', { commits: 1 });
  for (const setting of [
    { key: 'transfer.advertiseSID', value: 'true' },
    { key: 'receive.certNonceSeed', value: 'seed' },
  ]) {
    assert.equal((await compare(t, repository, { config: [setting] })).processes, 1, setting.key);
  }
});

test('a repository that is none is git’s to refuse', async (t) => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('a.git', { commits: 1 });
  rmSync(join(repository.path, 'refs'), { recursive: true });

  await assert.rejects(compare(t, repository), { message: /wait: exit status 128/ });
});
