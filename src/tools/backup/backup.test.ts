import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openStore } from '#object-store/open-store';
import { createLogger } from '#platform/log/logger';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { listRuns } from './catalog.ts';
import { type BackupContext, type CreateArguments, runCreate, runRestore } from './run-backup.ts';

const { signal } = new AbortController();

/** A server, a directory for backups, and what the commands have logged. */
class Backups implements AsyncDisposable {
  readonly gitaly: TestGitaly;
  readonly directory: string;
  log: Record<string, unknown>[] = [];
  servers: Record<string, { address: string; token: string }> | undefined;

  constructor(gitaly: TestGitaly) {
    this.gitaly = gitaly;
    this.directory = join(gitaly.directory, 'backups');
  }

  static async start(): Promise<Backups> {
    const config = (directory: string) => ({ backup: { go_cloud_url: join(directory, 'bucket') } });
    return new Backups(await startGitaly({ config, token: 'secret' }));
  }

  path(name: string): string {
    return join(this.gitaly.storagePath(), name);
  }

  /** Returns the line of standard input for a repository. */
  job(name: string, fields: object = {}): string {
    const { address } = this.gitaly;
    const job = { address, token: 'secret', storage_name: 'default', relative_path: name, ...fields };
    return `${JSON.stringify(job)}\n`;
  }

  async create(input: string, options: Partial<CreateArguments> = {}): Promise<void> {
    await runCreate({ ...this.#common, id: 'one', incremental: false, ...options }, this.#context(input));
  }

  async restore(input: string, options: Partial<Parameters<typeof runRestore>[0]> = {}): Promise<void> {
    await runRestore({ ...this.#common, removeAllRepositories: [], ...options }, this.#context(input));
  }

  /** Returns the files of the backups, by their path. */
  files(): string[] {
    const entries = readdirSync(this.directory, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.directory.length + 1))
      .sort();
  }

  read(file: string): string {
    return readFileSync(join(this.directory, file), 'utf8');
  }

  get #common() {
    return { path: this.directory, id: '', parallel: 4, parallelStorage: 2, serverSide: false };
  }

  #context(input: string): BackupContext {
    this.log = [];
    const stream = { write: (line: string) => void this.log.push(JSON.parse(line)) };
    const { servers } = this;
    const value = servers && Buffer.from(JSON.stringify(servers)).toString('base64');
    return {
      logger: createLogger({ format: 'json', level: 'info', stream }),
      input: (async function* () {
        yield Buffer.from(input);
      })(),
      environment: { GITALY_SERVERS: value },
      signal,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.gitaly.close();
  }
}

/** Returns all that a backup keeps of a repository, as git sees it. */
function stateOf(path: string): string[] {
  gitOutput(path, ['fsck', '--full', '--strict', '--no-dangling']);
  const hook = join(path, 'custom_hooks/update');
  return [
    gitOutput(path, ['symbolic-ref', 'HEAD']),
    gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname)']),
    gitOutput(path, ['rev-parse', '--show-object-format']),
    existsSync(hook) ? `${readFileSync(hook)} ${statSync(hook).mode}` : 'no hook',
  ];
}

for (const objectFormat of ['sha1', 'sha256'] as const)
  test(`full and incremental backups restore every state (${objectFormat})`, async () => {
    await using backups = await Backups.start();
    const job = backups.job('x.git');
    const path = backups.path('x.git');
    initRepository(path, { commits: 2, objectFormat });
    gitOutput(path, ['tag', '-a', '-m', 'annotated', 'v1', 'main']);
    gitOutput(path, ['branch', 'old', 'main~1']);
    const states = [stateOf(path)];
    await backups.create(job);
    addCommit(path, 3);
    gitOutput(path, ['branch', '-D', 'old']);
    // More references than the client sends in one message.
    const branches = Array.from({ length: 250 }, (_, number) => `create refs/heads/b${number} main\n`);
    gitOutput(path, ['update-ref', '--stdin'], branches.join(''));
    gitOutput(path, ['update-ref', 'refs/keep-around/x', 'main']);
    mkdirSync(join(path, 'custom_hooks'));
    writeFileSync(join(path, 'custom_hooks/update'), '#!/bin/sh\n', { mode: 0o755 });
    states.push(stateOf(path));
    await backups.create(job, { id: 'two', incremental: true });
    gitOutput(path, ['branch', 'new', 'main~2']);
    gitOutput(path, ['symbolic-ref', 'HEAD', 'refs/heads/new']);
    states.push(stateOf(path));
    await backups.create(job, { id: 'three', incremental: true });
    const ids = ['one', 'two', 'three'];

    rmSync(path, { recursive: true });
    await backups.restore(job);
    assert.deepEqual(stateOf(path), states[2], 'the latest');
    const writes = /FetchBundle|CreateRepository|UpdateReferences|SetCustomHooks|WriteRef/;
    const calls = backups.gitaly.log.map((line) => String(line['grpc.method'] ?? ''));
    const changes = calls.filter((method) => writes.test(method));
    // The repository appears with all references; hooks and HEAD follow.
    assert.deepEqual(changes, ['CreateRepositoryFromBundle', 'WriteRef', 'SetCustomHooks']);
    for (const [index, id] of ids.entries()) {
      rmSync(path, { recursive: true });
      await backups.restore(job, { id });
      assert.deepEqual(stateOf(path), states[index], id);
    }
    // From one state to another. A backup without hooks leaves those that are there.
    for (const [index, id] of [...ids.entries()].slice(1)) {
      await backups.restore(job, { id });
      assert.deepEqual(stateOf(path), states[index], id);
    }
  });

// The manifests are those that gitaly-backup 18.9 has written for these repositories.
test('files are those of Gitaly', async () => {
  await using backups = await Backups.start();
  initRepository(backups.path('a.git'), { commits: 1 });
  initRepository(backups.path('empty.git'));
  const jobs = ['a.git', 'empty.git', 'none.git'].map((name) => backups.job(name)).join('');

  await backups.create(jobs);
  await backups.create(backups.job('a.git'), { id: 'two', incremental: true });

  assert.deepEqual(backups.files(), [
    'backup_ids/one',
    'backup_ids/two',
    'default/a.git/one/001.bundle',
    'default/a.git/one/001.refs',
    'default/a.git/two/002.bundle',
    'default/a.git/two/002.refs',
    'default/empty.git/one/001.refs',
    'manifests/default/a.git/+latest.toml',
    'manifests/default/a.git/one.toml',
    'manifests/default/a.git/two.toml',
    'manifests/default/empty.git/+latest.toml',
    'manifests/default/empty.git/one.toml',
    'manifests/default/none.git/+latest.toml',
    'manifests/default/none.git/one.toml',
  ]);
  const step = (name: string) => `
[[steps]]
bundle_path = 'default/${name}/one/001.bundle'
ref_path = 'default/${name}/one/001.refs'
custom_hooks_path = 'default/${name}/one/001.custom_hooks.tar'
`;
  const two = `${step('a.git')}
[[steps]]
bundle_path = 'default/a.git/two/002.bundle'
ref_path = 'default/a.git/two/002.refs'
previous_ref_path = 'default/a.git/one/001.refs'
custom_hooks_path = 'default/a.git/two/002.custom_hooks.tar'
`;
  const head = (empty: boolean) =>
    `empty = ${empty}\nnon_existent = false\nobject_format = 'sha1'\nhead_reference = 'refs/heads/main'\n`;
  assert.equal(backups.read('manifests/default/a.git/one.toml'), head(false) + step('a.git'));
  assert.equal(backups.read('manifests/default/a.git/two.toml'), head(false) + two);
  assert.equal(backups.read('manifests/default/a.git/+latest.toml'), head(false) + two);
  assert.equal(backups.read('manifests/default/empty.git/one.toml'), head(true) + step('empty.git'));
  assert.equal(
    backups.read('manifests/default/none.git/one.toml'),
    `empty = true\nnon_existent = true\nobject_format = ''\n${step('none.git')}`,
  );
  // Nothing was new: the bundle has its header alone.
  assert.equal(backups.read('default/a.git/two/002.bundle'), '# v2 git bundle\n\n');
});

test('empty and missing repositories are restored as they were', async () => {
  await using backups = await Backups.start();
  initRepository(backups.path('empty.git'), { objectFormat: 'sha256' });
  const jobs = backups.job('empty.git') + backups.job('none.git');
  const state = stateOf(backups.path('empty.git'));
  await backups.create(jobs);
  addCommit(backups.path('empty.git'), 1);
  initRepository(backups.path('none.git'), { commits: 1 });

  await backups.restore(jobs);

  assert.deepEqual(stateOf(backups.path('empty.git')), state);
  assert.ok(existsSync(backups.path('none.git')), 'a missing one is left alone, as by Gitaly');
});

test('references without objects, as older backups can have, are left out alone, and logged', async () => {
  await using backups = await Backups.start();
  const path = backups.path('x.git');
  initRepository(path, { commits: 2 });
  await backups.create(backups.job('x.git'));
  const list = 'default/x.git/one/001.refs';
  const older = gitOutput(path, ['rev-parse', 'main~1']).trim();
  const added = `${older} refs/heads/older\n${'1'.repeat(40)} refs/heads/lost\n`;
  writeFileSync(join(backups.directory, list), backups.read(list) + added);
  rmSync(path, { recursive: true });

  await backups.restore(backups.job('x.git'));

  const names = gitOutput(path, ['for-each-ref', '--format=%(refname)']);
  assert.equal(names, 'refs/heads/main\nrefs/heads/older');
  const warnings = backups.log.filter(({ level }) => level === 'warning' || level === 'warn');
  assert.deepEqual(
    warnings.map((line) => [line.relative_path, line.skipped_references]),
    [['x.git', 1]],
  );
});

test('a failure concerns one repository; the others are in the backup', async () => {
  await using backups = await Backups.start();
  initRepository(backups.path('a.git'), { commits: 1 });
  const jobs =
    backups.job('b.git', { address: '', token: '', gl_project_path: 'group/b' }) +
    backups.job('c.git', { token: 'hidden' }) +
    backups.job('a.git', { gl_project_path: 'group/a' });

  await assert.rejects(backups.create(jobs), (error: Error) => {
    const [first, ...lines] = error.message.split('\n');
    assert.equal(first, 'create: pipeline: 2 failures encountered:');
    assert.match(
      lines.toSorted().join('\n'),
      /- b\.git \(group\/b\): manager: set context server info: empty/,
    );
    assert.match(
      error.message,
      /- c\.git: manager: remote repository: object hash: rpc error: code = PermissionDenied desc = /,
    );
    assert.doesNotMatch(error.message, /hidden/);
    return true;
  });

  assert.ok(backups.files().includes('manifests/default/a.git/one.toml'));
  assert.ok(backups.files().includes('backup_ids/one'));
  const lines = backups.log.filter((line) => line.relative_path === 'a.git');
  assert.deepEqual(
    lines.map(({ time: _, pid: __, ...line }) => line),
    ['started create', 'completed create'].map((msg) => ({
      'command.name': 'create',
      gl_project_path: 'group/a',
      level: 'info',
      msg,
      relative_path: 'a.git',
      storage_name: 'default',
    })),
  );
  assert.ok(backups.log.some((line) => line.msg === 'create failed' && line.relative_path === 'c.git'));
});

test('a damaged backup is an error, and changes nothing', async () => {
  await using backups = await Backups.start();
  const path = backups.path('x.git');
  initRepository(path, { commits: 2 });
  await backups.create(backups.job('x.git'));
  addCommit(path, 3);
  await backups.create(backups.job('x.git'), { id: 'two', incremental: true });
  // A repository that does not have the objects of the backup.
  rmSync(path, { recursive: true });
  initRepository(path, { commits: 1 });
  const before = stateOf(path);
  rmSync(join(backups.directory, 'default/x.git/two/002.bundle'));

  await assert.rejects(backups.restore(backups.job('x.git')), /get reader: .*002\.bundle.* doesn't exist/);
  assert.deepEqual(stateOf(path), before);
  rmSync(path, { recursive: true });
  await assert.rejects(backups.restore(backups.job('x.git')), /1 failures encountered/);
  assert.equal(existsSync(path), false);
  writeFileSync(join(backups.directory, 'default/x.git/two/002.bundle'), '# v2 git bundle\nPACK');
  await assert.rejects(backups.restore(backups.job('x.git')), /fetch bundle: .*002\.bundle/);
  assert.equal(existsSync(path), false, 'a new repository is removed after a failure');
});

// Symptom: with a wrong -path Gitaly's program removes every repository that it was to restore.
test('a restore from an empty directory removes nothing', async () => {
  await using backups = await Backups.start();
  initRepository(backups.path('x.git'), { commits: 1 });

  await assert.rejects(backups.restore(backups.job('x.git')), /x\.git: .*there is no backup/);
  assert.ok(existsSync(backups.path('x.git')));

  await backups.create(backups.job('other.git'));
  await assert.rejects(backups.restore(backups.job('x.git')), /manifest: find latest: doesn't exist/);
  assert.equal(existsSync(backups.path('x.git')), false, 'as by Gitaly');
});

test('repositories that were not restored are removed on request, but no pools', async () => {
  await using backups = await Backups.start();
  const pool = '@pools/6b/86/6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b.git';
  for (const name of ['x.git', 'stale.git', pool]) initRepository(backups.path(name), { commits: 1 });
  await backups.create(backups.job('x.git'));
  backups.servers = { default: { address: backups.gitaly.address, token: 'secret' } };

  await backups.restore(backups.job('x.git', { address: undefined, token: undefined }), {
    removeAllRepositories: ['default', 'unknown'],
  });

  assert.deepEqual(
    ['x.git', 'stale.git', pool].map((name) => existsSync(backups.path(name))),
    [true, false, true],
  );
  const [warning] = backups.log.filter((line) => line.msg === 'failed to list repositories');
  assert.equal(warning?.storage_name, 'unknown');
});

test('servers make and restore backups in their own bucket', async () => {
  await using backups = await Backups.start();
  const path = backups.path('x.git');
  initRepository(path, { commits: 2 });
  const state = stateOf(path);
  const serverSide = { serverSide: true, path: '' };
  await assert.rejects(backups.create('', { serverSide: true }), /path cannot be used with server-side/);
  backups.servers = { default: { address: backups.gitaly.address, token: 'secret' } };
  const jobs = backups.job('x.git', { address: undefined, token: undefined });

  await backups.create(jobs, serverSide);
  rmSync(path, { recursive: true });
  await backups.restore(jobs, serverSide);

  assert.deepEqual(stateOf(path), state);
  assert.deepEqual(readdirSync(join(backups.gitaly.directory, 'bucket/backup_ids')), ['one']);
});

// A user saw: a server-side backup in which repositories had failed was listed like a complete one.
test('a server-side backup is partial until the repositories that failed are in it', async () => {
  await using backups = await Backups.start();
  for (const name of ['good.git', 'bad.git']) initRepository(backups.path(name), { commits: 2 });
  const bad = backups.path('bad.git');
  const oid = gitOutput(bad, ['rev-parse', 'main~1']);
  const [object, away] = [join(bad, 'objects', oid.slice(0, 2), oid.slice(2)), join(bad, 'away')];
  renameSync(object, away);
  backups.servers = { default: { address: backups.gitaly.address, token: 'secret' } };
  const jobs = ['good.git', 'bad.git']
    .map((name) => backups.job(name, { address: undefined, token: undefined }))
    .join('');
  const create = () => backups.create(jobs, { serverSide: true, path: '' });
  const store = await openStore(join(backups.gitaly.directory, 'bucket'));
  const marks = async () =>
    (await listRuns(store, { signal })).map(({ repositories, isEnded, isPartial }) => ({
      repositories,
      isEnded,
      isPartial,
    }));

  await assert.rejects(create(), /^Error: create: pipeline: 1 failures encountered:\n - bad\.git: /);
  const partial = await marks();
  renameSync(away, object);
  await create();

  assert.deepEqual(partial, [{ repositories: 1, isEnded: true, isPartial: true }]);
  assert.deepEqual(await marks(), [{ repositories: 2, isEnded: true, isPartial: false }]);
});

test('backups of older versions are restored', async () => {
  await using backups = await Backups.start();
  const path = backups.path('group/x.git');
  initRepository(path, { commits: 2 });
  const state = stateOf(path);
  const folder = join(backups.directory, 'group/x');
  mkdirSync(join(folder, '20220101'), { recursive: true });
  const refs = gitOutput(path, ['show-ref', '--head']);
  const steps = [
    [['main~1'], '001'],
    [['--all', '^main~1'], '002'],
  ] as const;
  for (const [revisions, number] of steps)
    gitOutput(path, [
      'bundle',
      'create',
      '-q',
      join(folder, `20220101/${number}.bundle`),
      ...revisions,
      'HEAD',
    ]);
  const old = gitOutput(path, ['rev-parse', 'main~1']);
  writeFileSync(join(folder, '20220101/001.refs'), `${old} HEAD\n${old} refs/heads/main\n`);
  writeFileSync(join(folder, '20220101/002.refs'), `${refs}\n`);
  writeFileSync(join(folder, '20220101/LATEST'), '002');
  writeFileSync(join(folder, 'LATEST'), '20220101\n');

  for (const id of ['', '20220101']) {
    rmSync(path, { recursive: true });
    await backups.restore(backups.job('group/x.git'), { id });
    assert.deepEqual(stateOf(path), state, `pointer ${id}`);
  }

  rmSync(folder, { recursive: true });
  gitOutput(path, ['bundle', 'create', '-q', `${folder}.bundle`, '--all', 'HEAD']);
  writeFileSync(`${folder}.refs`, `${refs}\n`);
  rmSync(path, { recursive: true });
  await backups.restore(backups.job('group/x.git'));
  assert.deepEqual(stateOf(path), state, 'legacy');
});

for (const [input, message] of [
  ['x', /^create: invalid character "x"$/],
  ['[]', /^create: a job is no JSON object$/],
  ['{"storage_name":3}', /^create: "storage_name" is not a text$/],
] as const)
  test(`the job ${input} is refused`, async () => {
    await using backups = await Backups.start();
    initRepository(backups.path('a.git'), { commits: 1 });

    await assert.rejects(backups.create(backups.job('a.git') + input), { message });

    assert.deepEqual(
      backups.files().filter((file) => file.startsWith('backup_ids')),
      [],
    );
  });

test('backups with pointers have the files of Gitaly 15, and are restored', async () => {
  await using backups = await Backups.start();
  const path = backups.path('group/x.git');
  initRepository(path, { commits: 2 });
  initRepository(backups.path('empty.git'));
  const input = backups.job('group/x.git') + backups.job('empty.git');
  const pointer = { layout: 'pointer', incremental: true };

  await backups.create(input, { ...pointer, id: 'full' });
  addCommit(path, 3);
  await backups.create(input, { ...pointer, id: 'other' });
  const skipped = backups.log;
  await backups.create(input, { ...pointer, id: 'third' });

  const parts = ['001.bundle', '001.refs', '002.bundle', '002.refs', '003.refs', 'LATEST'];
  const files = [...parts.map((part) => `full/${part}`), 'LATEST'];
  assert.deepEqual(backups.files(), files.map((file) => `group/x/${file}`).sort());
  assert.deepEqual(
    ['LATEST', 'full/LATEST'].map((file) => backups.read(`group/x/${file}`)),
    ['full', '002'],
  );
  assert.deepEqual(
    skipped.filter(({ msg }) => msg === 'skipped create').map((line) => line.relative_path),
    ['empty.git'],
  );
  const state = stateOf(path);
  for (const layout of ['pointer', 'manifest']) {
    rmSync(path, { recursive: true });
    await backups.restore(backups.job('group/x.git'), { layout });
    assert.deepEqual(stateOf(path), state, layout);
  }
  await assert.rejects(backups.create(input, { layout: 'legacy' }), /the layout "legacy" is only read/);
  await assert.rejects(
    backups.restore(input, { layout: 'x' }),
    /restore: resolve locator: unknown layout: "x"/,
  );
});

test('in older layouts a repository without a backup is removed, or restored as an empty one', async () => {
  await using backups = await Backups.start();
  const [kept, removed] = [backups.path('kept.git'), backups.path('removed.git')];
  for (const path of [kept, removed]) initRepository(path, { commits: 1 });
  mkdirSync(backups.directory);
  writeFileSync(join(backups.directory, 'other.bundle'), '');

  const input = backups.job('kept.git', { always_create: true }) + backups.job('removed.git');
  await backups.restore(input, { layout: 'legacy' }).catch(() => {});

  assert.equal(existsSync(removed), false);
  assert.equal(gitOutput(kept, ['for-each-ref']), '');
});
