import assert from 'node:assert/strict';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import type { Repository } from '#storage/repository';
import { referenceBackends } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { createBackup } from './create-backup.ts';
import { LocalSource } from './local-source.ts';
import { type RestoreBackupOptions, restoreBackup } from './restore-backup.ts';

const { signal } = new AbortController();
const NAME = { storageName: 'group', relativePath: 'name.git' };
const MANIFESTS = 'manifests/group/name.git';
const TARGET = { storageName: 'default', relativePath: 'restored.git' };
const observer = { observePhase: () => {}, observeBundle: () => {} };

async function* contentOf(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}

class Backups implements AsyncDisposable {
  readonly fixture: StorageFixture;
  readonly bucket = new MemoryObjectStore();
  readonly skipped: number[] = [];

  constructor(fixture: StorageFixture) {
    this.fixture = fixture;
  }

  get path(): string {
    return this.fixture.storages.locate(TARGET).path;
  }

  async create(id: string, repository: Repository | undefined, incremental = false): Promise<void> {
    const { storages } = this.fixture;
    const open = () => repository ?? storages.open({ storageName: 'default', relativePath: 'none.git' });
    const source = new LocalSource(open, signal);
    await createBackup(this.bucket, source, { name: NAME, id, incremental, latestId: '', observer, signal });
  }

  async restore(id: string, options: Partial<RestoreBackupOptions> = {}): Promise<void> {
    await restoreBackup(this.bucket, this.fixture.storages, TARGET, {
      name: NAME,
      id,
      useLatest: false,
      hooks: undefined,
      vote: undefined,
      onSkipped: (references) => this.skipped.push(references),
      signal,
      ...options,
    });
  }

  /** Stores a backup of another repository. */
  async storeOther(): Promise<void> {
    const source = new LocalSource(() => this.fixture.init('other.git', { commits: 1 }), signal);
    const name = { storageName: 'group', relativePath: 'other.git' };
    await createBackup(this.bucket, source, {
      ...{ name, id: 'one', incremental: false, latestId: '', observer, signal },
    });
  }

  git(...args: string[]): string {
    return this.fixture.runGit(this.path, args);
  }

  async textAt(key: string): Promise<string> {
    return Buffer.concat(await Array.fromAsync(this.bucket.get(key, { signal }))).toString('latin1');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    assert.deepEqual(globSync(`${this.fixture.storage.path}/+gitaly/tmp/*`), []);
    await this.fixture[Symbol.asyncDispose]();
  }
}

async function start(): Promise<Backups> {
  return new Backups(await StorageFixture.create());
}

for (const head of ['refs/heads/trunk', 'refs/other/x']) {
  test(`HEAD of a restored repository is ${head} as before, with and without commits`, async () => {
    await using backups = await start();
    const { fixture } = backups;
    const repository = fixture.init('x.git', { commits: 1 });
    fixture.runGit(repository.path, ['update-ref', head, 'main']);
    fixture.runGit(repository.path, ['symbolic-ref', 'HEAD', head]);
    await backups.create('one', repository);
    const empty = fixture.init('empty.git', { objectFormat: 'sha256' });
    fixture.runGit(empty.path, ['symbolic-ref', 'HEAD', 'refs/heads/trunk']);
    await backups.create('empty', empty);

    await backups.restore('one');
    assert.equal(backups.git('symbolic-ref', 'HEAD'), head);
    assert.equal(backups.git('show-ref'), fixture.runGit(repository.path, ['show-ref']));

    // The objects of a backup without references have another format: the repository is replaced.
    await backups.restore('empty');
    assert.equal(backups.git('symbolic-ref', 'HEAD'), 'refs/heads/trunk');
    assert.equal(backups.git('rev-parse', '--show-object-format'), 'sha256');
  });
}

test('HEAD that was detached becomes the branch of its commit', async () => {
  await using backups = await start();
  const { fixture } = backups;
  const repository = fixture.init('x.git', { commits: 2 });
  fixture.runGit(repository.path, ['branch', 'old', 'main~1']);
  fixture.runGit(repository.path, ['update-ref', '--no-deref', 'HEAD', 'old']);
  await backups.create('one', repository);

  await backups.restore('one');
  assert.equal(backups.git('symbolic-ref', 'HEAD'), 'refs/heads/old');

  // Bundles are fetched only if objects are missing.
  for (const branch of ['main', 'other']) {
    rmSync(backups.path, { recursive: true });
    fixture.init(TARGET.relativePath);
    backups.git('symbolic-ref', 'HEAD', `refs/heads/${branch}`);
    await backups.restore('one');
    assert.equal(backups.git('symbolic-ref', 'HEAD'), 'refs/heads/old');
  }
});

for (const branch of ['main', 'master']) {
  test(`HEAD of an existing repository becomes ${branch} if HEAD was detached there`, async () => {
    await using backups = await start();
    const { fixture } = backups;
    const repository = fixture.init('x.git', { commits: 1 });
    fixture.runGit(repository.path, ['branch', '-M', 'main', branch]);
    fixture.runGit(repository.path, ['update-ref', '--no-deref', 'HEAD', branch]);
    await backups.create('one', repository);

    for (const head of ['other', branch]) {
      rmSync(backups.path, { recursive: true, force: true });
      fixture.init(TARGET.relativePath);
      backups.git('symbolic-ref', 'HEAD', `refs/heads/${head}`);
      await backups.restore('one');
      assert.equal(backups.git('symbolic-ref', 'HEAD'), `refs/heads/${branch}`);
    }
  });
}

test('a repository whose HEAD is detached is restored like any other', async () => {
  await using backups = await start();
  const { fixture } = backups;
  await backups.create('one', fixture.init('x.git', { commits: 2 }));
  fixture.init(TARGET.relativePath);
  fixture.commit(backups.path);
  backups.git('update-ref', '--no-deref', 'HEAD', 'main');

  await backups.restore('one');

  assert.equal(backups.git('symbolic-ref', 'HEAD'), 'refs/heads/main');
  assert.equal(backups.git('rev-list', '--count', 'main'), '2');
});

test('the newest backup replaces a missing one only on request, and never a damaged one', async () => {
  await using backups = await start();
  const { fixture, bucket } = backups;
  await backups.create('one', fixture.init('x.git', { commits: 1 }));
  await bucket.put(`${MANIFESTS}/bad.toml`, contentOf('no TOML'), { signal });
  await backups.create('two', fixture.init('y.git', { commits: 2 }));

  await assert.rejects(backups.restore('none'), {
    message: /^manager: manifest: find: read manifest: .*doesn't exist$/,
  });
  await assert.rejects(backups.restore('bad', { useLatest: true }), {
    message: /^manager: manifest: find: read manifest: Invalid TOML/,
  });
  assert.equal(existsSync(backups.path), false);

  for (const [id, options] of [
    ['none', { useLatest: true }],
    ['', {}],
  ] as const) {
    await backups.restore(id, options);
    assert.equal(backups.git('rev-list', '--count', 'main'), '2');
  }
});

test('a repository without any backup is removed, with a vote', async () => {
  await using backups = await start();
  backups.fixture.init(TARGET.relativePath, { commits: 1 });
  await backups.storeOther();
  const phases: string[] = [];
  const vote = async (phase: string): Promise<void> => void phases.push(phase);

  for (const _ of [1, 2])
    await assert.rejects(backups.restore('', { vote }), { message: "manifest: find latest: doesn't exist" });

  assert.equal(existsSync(backups.path), false);
  assert.equal(new Set(phases).size, phases.length);
  assert.ok(phases.includes('committed'), phases.join());
});

// A user saw: with a wrong prefix, each repository was removed.
test('a bucket without any backup removes no repository', async () => {
  await using backups = await start();
  backups.fixture.init(TARGET.relativePath, { commits: 1 });
  await backups.bucket.put('other/object', contentOf('x'), { signal });

  for (const [id, useLatest] of [
    ['', false],
    ['one', true],
  ] as const)
    await assert.rejects(backups.restore(id, { useLatest }), {
      code: 'FAILED_PRECONDITION',
      message: /^manager: the bucket has no backups/,
    });

  assert.equal(backups.git('rev-list', '--count', 'main'), '1');
});

test('a vote that refuses the removal keeps the repository', async () => {
  await using backups = await start();
  backups.fixture.init(TARGET.relativePath, { commits: 1 });
  await backups.storeOther();
  const vote = async (): Promise<void> => {
    throw new Error('no');
  };

  await assert.rejects(backups.restore('', { vote }), { message: /^repository removed: / });

  assert.equal(backups.git('rev-list', '--count', 'main'), '1');
});

// A user saw: the repository was gone after Ctrl-C.
test('a restore of an empty backup leaves the repository until the empty one is in its place', async () => {
  await using backups = await start();
  const { fixture } = backups;
  await backups.create('empty', fixture.init('empty.git'));
  fixture.init(TARGET.relativePath, { commits: 1 });
  const phases: string[] = [];
  let refused = 'preparing preparing';
  const vote = async (phase: string): Promise<void> => {
    phases.push(phase);
    if (phases.filter((each) => each === 'preparing').join(' ') === refused) throw new Error('no');
  };

  await assert.rejects(backups.restore('empty', { vote }), { message: /preparatory vote: no$/ });
  assert.equal(backups.git('rev-list', '--count', 'main'), '1');
  const stopping = new AbortController();
  fixture.storages.onLeft = () => stopping.abort();
  refused = '';
  phases.length = 0;
  await backups.restore('empty', { vote, signal: stopping.signal });

  assert.ok(stopping.signal.aborted);
  assert.equal(backups.git('for-each-ref'), '');
  const votes = ['preparing', 'prepared', 'committed'];
  assert.deepEqual(phases, [...votes, ...votes]);
});

test('the backup of a repository that did not exist changes nothing', async () => {
  await using backups = await start();
  await backups.create('none', undefined);
  await backups.restore('none');
  assert.equal(existsSync(backups.path), false);

  backups.fixture.init(TARGET.relativePath, { commits: 1 });
  await backups.restore('none');
  assert.equal(backups.git('rev-list', '--count', 'main'), '1');
});

test('a manifest without steps, or a list without references, restores nothing', async () => {
  await using backups = await start();
  const { fixture, bucket } = backups;
  await backups.create('one', fixture.init('x.git', { commits: 1 }));
  await bucket.put(`${MANIFESTS}/steps.toml`, contentOf('empty = false\n'), { signal });
  await assert.rejects(backups.restore('steps'), { message: 'manager: no backup steps' });

  await bucket.put('group/name.git/one/001.refs', contentOf(''), { signal });
  await assert.rejects(backups.restore('one'), { message: /^manager: .*no refs in backup$/ });

  await bucket.put('group/name.git/one/001.refs', contentOf('HEAD\n'), { signal });
  await assert.rejects(backups.restore('one'), {
    message: /^manager: .*restore from bundle: read refs: read refs: the backup has a line/,
  });
  assert.equal(existsSync(backups.path), false);
});

// "no refs in backup": 16.7 does not write that a repository is empty.
for (const objectFormat of ['sha1', 'sha256'] as const)
  test(`a backup of 16.7 of an empty repository is restored as one: ${objectFormat}`, async () => {
    await using backups = await start();
    const { bucket } = backups;
    await bucket.put('x/one/001.refs', contentOf(''), { signal });
    const manifest = [
      `object_format = '${objectFormat}'`,
      "head_reference = 'refs/heads/trunk'",
      '[[steps]]',
      "bundle_path = 'x/one/001.bundle'",
      "ref_path = 'x/one/001.refs'",
      "custom_hooks_path = 'x/one/001.custom_hooks.tar'",
      '',
    ].join('\n');
    await bucket.put(`${MANIFESTS}/one.toml`, contentOf(manifest), { signal });

    await backups.restore('one');

    assert.equal(backups.git('symbolic-ref', 'HEAD'), 'refs/heads/trunk');
    assert.equal(backups.git('rev-parse', '--show-object-format'), objectFormat);
    assert.equal(backups.git('for-each-ref'), '');

    // With a bundle, the list of references is damaged.
    await bucket.put('x/one/001.bundle', contentOf('bundle'), { signal });
    await assert.rejects(backups.restore('one'), { message: 'manager: no refs in backup' });
  });

// "open …/refs/heads/caf\ufffd: no such file or directory"
test('a name of a reference that is not UTF-8 is restored in a new repository', async () => {
  await using backups = await start();
  const { fixture } = backups;
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = fixture.runGit(repository.path, ['rev-parse', 'main']).trim();
  const file = Buffer.concat([Buffer.from(`${repository.path}/refs/heads/caf`), Buffer.of(0xe9)]);
  writeFileSync(file, `${oid}\n`);
  const references = fixture.runGit(repository.path, ['for-each-ref']);
  await backups.create('one', repository);

  await backups.restore('one');

  assert.equal(backups.git('for-each-ref'), references.trim());
});

test('hooks of a backup replace those of a repository; without hooks in it they stay', async () => {
  await using backups = await start();
  const { fixture } = backups;
  const repository = fixture.init('x.git', { commits: 1 });
  await backups.create('without', repository);
  mkdirSync(`${repository.path}/custom_hooks`);
  writeFileSync(`${repository.path}/custom_hooks/update`, 'of the backup', { mode: 0o755 });
  await backups.create('with', repository);
  const hook = () => readFileSync(`${backups.path}/custom_hooks/update`, 'utf8');

  await backups.restore('with');
  assert.equal(hook(), 'of the backup');
  writeFileSync(`${backups.path}/custom_hooks/update`, 'mine');
  await backups.restore('without');
  assert.equal(hook(), 'mine');
  await backups.restore('with');
  assert.equal(hook(), 'of the backup');
});

test('references that lost their objects are counted, the others restored in place', async () => {
  await using backups = await start();
  const { fixture, bucket } = backups;
  const repository = fixture.init('x.git', { commits: 2 });
  await backups.create('one', repository);
  const list = 'group/name.git/one/001.refs';
  const lines = await backups.textAt(list);
  await bucket.put(list, contentOf(`${lines}${'1'.repeat(40)} refs/heads/gone\n`), { signal });
  fixture.init(TARGET.relativePath);
  fixture.commit(backups.path);
  fixture.runGit(backups.path, ['branch', 'mine', 'main']);

  await backups.restore('one');

  assert.deepEqual(backups.skipped, [1]);
  assert.equal(backups.git('show-ref', '--head'), fixture.runGit(repository.path, ['show-ref', '--head']));
});

// The repository had the branches of the other one.
test('a bundle of another repository restores none of its branches', async () => {
  await using backups = await start();
  const { fixture, bucket } = backups;
  const repository = fixture.init('x.git', { commits: 2 });
  await backups.create('one', repository);
  const good = await Array.fromAsync(bucket.get('group/name.git/one/001.bundle', { signal }));
  const other = fixture.init('y.git', { commits: 1 });
  const foreign = fixture.runGit(other.path, ['commit-tree', '-m', 'foreign', 'main^{tree}']).trim();
  for (const name of ['main', 'foreign'])
    fixture.runGit(other.path, ['update-ref', `refs/heads/${name}`, foreign]);
  fixture.runGit(other.path, ['bundle', 'create', 'y.bundle', '--all']);
  const bundle = readFileSync(`${other.path}/y.bundle`);
  await bucket.put('group/name.git/one/001.bundle', Readable.from([bundle]), { signal });

  await assert.rejects(backups.restore('one'), { message: /^manager: .*they are those of another/ });
  assert.equal(existsSync(backups.path), false);
  fixture.init(TARGET.relativePath);
  await assert.rejects(backups.restore('one'), { message: /^manager: .*they are those of another/ });
  assert.equal(backups.git('for-each-ref'), '');

  // A branch whose object is missing is not at what the bundle has under its name.
  rmSync(backups.path, { recursive: true });
  await bucket.put('group/name.git/one/001.bundle', Readable.from(good), { signal });
  const oid = fixture.runGit(repository.path, ['rev-parse', 'main']).trim();
  const lines = `${'1'.repeat(40)} refs/heads/main\n${oid} refs/heads/same\n`;
  await bucket.put('group/name.git/one/001.refs', contentOf(lines), { signal });
  await backups.restore('one');
  assert.equal(backups.git('for-each-ref', '--format=%(objectname) %(refname)'), `${oid} refs/heads/same`);
  assert.deepEqual(backups.skipped, [1]);
});

for (const referenceBackend of referenceBackends())
  test(`increments of a backup of many references restore the last state: ${referenceBackend}`, async () => {
    await using backups = await start();
    const { fixture } = backups;
    const repository = fixture.init('x.git', { commits: 2, referenceBackend });
    const git = (args: readonly string[], input?: string): string =>
      fixture.runGit(repository.path, args, input);
    const names = Array.from({ length: 1000 }, (_, index) => `refs/pipelines/${index}`);
    git(['update-ref', '--stdin'], names.map((name) => `create ${name} main~1\n`).join(''));
    git(['tag', '-a', '-m', 'one', 'v1', 'main']);
    await backups.create('one', repository);
    git(['update-ref', 'refs/pipelines/1', 'main']);
    git(['update-ref', '-d', 'refs/pipelines/2']);
    git(['update-ref', 'refs/pipelines/2/below', 'main']);
    fixture.commit(repository.path, 3);
    await backups.create('one', repository, true);
    await backups.restore('one');
    const expected = git(['show-ref', '--dereference']);
    assert.equal(backups.git('show-ref', '--dereference'), expected);
    assert.equal(backups.git('fsck', '--connectivity-only'), '');

    backups.git('update-ref', '-d', 'refs/pipelines/4');
    backups.git('update-ref', 'refs/pipelines/other', 'main');
    await backups.restore('one');
    assert.equal(backups.git('show-ref', '--dereference'), expected);
    assert.deepEqual(backups.skipped, []);
  });
