import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { addRepoCommands } from '#cli/commands/repo-commands';
import { capabilitiesOf } from '#git/command/capabilities';
import { programCommand } from '#testkit/programs/program-command';
import { runCommands } from '#testkit/programs/run-commands';
import { detachHead } from '#testkit/repositories/generated/odd-repositories';
import { addCommit, gitOutput } from '#testkit/repositories/init-repository';
import { testedGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { startGitaly } from '#testkit/start-gitaly';

const repo = (...args: string[]) => runCommands(['repo', ...args], addRepoCommands);

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await repo(...args);
  assert.equal(code, 0, stderr);
  return stdout;
}

test('repositories of a running server are created, listed, renamed, maintained and removed', async () => {
  await using gitaly = await startGitaly();
  const to = ['--to', gitaly.address];
  const at = (name: string): string => join(gitaly.storagePath(), name);

  assert.equal(await ok('create', 'team/one', ...to), 'created team/one.git\n');
  await ok('create', 'two.git', '--object-format', 'sha256', '--branch', 'trunk', ...to);
  assert.equal(gitOutput(at('two.git'), ['rev-parse', '--show-object-format']), 'sha256');
  assert.equal(gitOutput(at('two.git'), ['symbolic-ref', 'HEAD']), 'refs/heads/trunk');
  for (const number of [1, 2, 3]) addCommit(at('team/one.git'), number);

  assert.equal(await ok('list', ...to), 'team/one.git\ntwo.git\n');
  assert.equal(
    await ok('rename', 'team/one', 'group/first', ...to),
    'renamed team/one.git to group/first.git\n',
  );
  assert.equal(await ok('gc', 'group/first', '--full', ...to), 'optimized group/first.git\n');
  assert.match(gitOutput(at('group/first.git'), ['count-objects', '-v']), /^count: 0$/m);
  assert.equal(await ok('gc', '--all', ...to), 'optimized group/first.git\noptimized two.git\n');
  assert.equal(
    await ok('remove', 'two', 'group/first', '--yes', ...to),
    'removed two.git\nremoved group/first.git\n',
  );
  assert.deepEqual([existsSync(at('two.git')), await ok('list', ...to)], [false, '']);
});

// The new one had its address, and everybody who used it got an empty repository.
test('a repository whose directory does not end in .git is not hidden by a new one', async () => {
  await using gitaly = await startGitaly();
  const to = ['--to', gitaly.address];
  await gitaly.createRepository({ relativePath: 'team/plain' });
  await ok('create', 'other', ...to);

  for (const command of [
    ['create', 'team/plain'],
    ['rename', 'other', 'team/plain.git'],
    ['fork', 'other', 'team/plain'],
  ]) {
    const { code, stderr } = await repo(...command, ...to);
    assert.deepEqual(
      [code, /there is a repository team\/plain$/m.test(stderr)],
      [1, true],
      command.join(' '),
    );
  }
  assert.equal(
    await ok('rename', 'team/plain', 'team/plain', ...to),
    'renamed team/plain to team/plain.git\n',
  );
});

test('--json prints the result for programs', async () => {
  await using gitaly = await startGitaly();
  const to = ['--json', '--to', gitaly.address];
  const json = async (...args: string[]): Promise<unknown> => JSON.parse(await ok(...args, ...to));

  assert.deepEqual(await json('create', 'x'), { created: 'x.git' });
  const listed = await json('list');
  assert.ok(Array.isArray(listed));
  assert.deepEqual(
    listed.map(({ name }) => name),
    ['x.git'],
  );
  addCommit(join(gitaly.storagePath(), 'x.git'));
  const { bytes, objectBytes, ...facts } = Object(await json('info', 'x'));
  assert.ok(bytes > 0 && objectBytes > 0);
  assert.deepEqual(facts, {
    name: 'x.git',
    objectFormat: 'sha1',
    defaultBranch: 'main',
    description: '',
    hasRules: false,
    packs: 0,
    looseObjects: 2,
    referenceFormat: 'files',
    looseReferences: 1,
    borrowsFrom: [],
  });
  assert.match(await ok('info', 'x', '--to', gitaly.address), /^name {14}x\.git\ndefault branch {4}main\n/);
  assert.deepEqual(await json('rename', 'x', 'y'), { from: 'x.git', to: 'y.git' });
  assert.deepEqual(await json('remove', 'y', '--yes'), { removed: ['y.git'] });
});

test('references of one, some and all repositories are migrated, and a second run continues', async () => {
  await using gitaly = await startGitaly();
  const to = ['--to', gitaly.address];
  const migrate = (...args: string[]) => repo('migrate-references', ...args, ...to);
  for (const name of ['a/one', 'a/two', 'b/one', 'broken']) await ok('create', name, ...to);

  const dryRun = await migrate('--prefix', 'b/', '--format', 'reftable', '--dry-run');
  assert.deepEqual(dryRun, { code: 0, stdout: 'needed     b/one.git\n1 needed\n', stderr: '' });
  const same = await migrate('a/one', '--format', 'files');
  assert.equal(same.stdout, 'unchanged  a/one.git\n1 unchanged\n');
  assert.deepEqual((await migrate('--prefix', 'none/', '--format', 'files')).stdout, 'no repositories\n');

  if (!capabilitiesOf(testedGit()).refsMigrate) {
    const refused = await migrate('a/one', '--format', 'reftable');
    assert.deepEqual([refused.code, refused.stdout], [1, '1 failed\n']);
    assert.match(refused.stderr, /^failed {5}a\/one\.git {2}migration failed: .* git 2\.46/);
    return;
  }
  writeFileSync(join(gitaly.storagePath(), 'broken.git/packed-refs'), 'no reference\n');
  const first = await migrate('b/one', '--format', 'reftable');
  assert.equal(first.stdout, 'migrated   b/one.git\n1 migrated\n');
  const all = await migrate('--all', '--format', 'reftable', '--jobs', '1', '--json');
  assert.equal(all.code, 3);
  const { failed, ...others } = JSON.parse(all.stdout);
  assert.deepEqual(failed, ['broken.git']);
  assert.deepEqual(others, { migrated: ['a/one.git', 'a/two.git'], needed: [], unchanged: ['b/one.git'] });
  assert.match(all.stderr, /^failed {5}broken\.git {2}migration failed: /);
  const formats = ['a/one.git', 'broken.git'].map((name) =>
    readFileSync(join(gitaly.storagePath(), name, 'config'), 'utf8').includes('refstorage = reftable'),
  );
  assert.deepEqual(formats, [true, false]);
  assert.match(await ok('info', 'b/one', ...to), /^references {8}reftable, 0 loose$/m);
});

test('a directory without a server gets one meanwhile, and a configuration names its server', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'repo-command-'));
  try {
    await ok('create', 'kept', '--to', directory);
    assert.equal(await ok('list', '--to', directory), 'kept.git\n');

    await using gitaly = await startGitaly();
    const config = join(directory, 'gitaly.toml');
    const socket = gitaly.address.replace(/^unix:/, '');
    writeFileSync(
      config,
      `socket_path = '${socket}'\n[[storage]]\nname = 'default'\npath = '${gitaly.storagePath()}'\n`,
    );
    await ok('create', 'configured', '--to', config);
    assert.equal(await ok('list', '--to', gitaly.address), 'configured.git\n');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('failures end with 1 and wrong usage with 2, and name what to do', async () => {
  await using gitaly = await startGitaly();
  const to = ['--to', gitaly.address];
  await ok('create', 'x', ...to);
  const cases: [number, RegExp, string[]][] = [
    [1, /there is no repository none: "gitaly-ts repo list"/, ['remove', 'none', '--yes', ...to]],
    [1, /exists already/, ['create', 'x', ...to]],
    [
      1,
      /no connection to unix:\/nowhere.* Check that a server listens on unix:\/nowhere/,
      ['list', '--to', 'unix:/nowhere'],
    ],
    [2, /add --yes/, ['remove', 'x', ...to]],
    [2, /name repositories, or give --all/, ['gc', ...to]],
    [2, /give --all or --prefix/, ['migrate-references', '--format', 'files', ...to]],
    [2, /--format reftable/, ['migrate-references', 'x', ...to]],
    [2, /files/, ['migrate-references', 'x', '--format', 'sqlite', ...to]],
    [2, /from 1 to 64/, ['migrate-references', 'x', '--format', 'files', '--jobs', '0', ...to]],
    [2, /does not exist/, ['list', '--to', '/nowhere']],
    [2, /missing required argument/, ['create']],
    [2, /sha1, sha256/, ['create', 'y', '--object-format', 'md5', ...to]],
  ];
  for (const [code, message, args] of cases) {
    const result = await repo(...args);
    assert.deepEqual([result.code, result.stdout], [code, ''], args.join(' '));
    assert.match(result.stderr, message);
  }
  assert.equal(await ok('list', ...to), 'x.git\n');
  for (const name of ['list', 'create', 'rename', 'remove', 'gc', 'info', 'migrate-references'])
    assert.match(await ok(name, '--help'), /Usage: gitaly-ts repo .*Examples:\n {2}gitaly-ts repo /s);
});

test('the program prints, and ends with the exit code of the command', async () => {
  await using gitaly = await startGitaly();
  const start = (...args: string[]) =>
    run(process.execPath, [...programCommand('gitaly-ts'), 'repo', ...args, '--to', gitaly.address]);

  const created = await start('create', 'x');
  const again = await start('create', 'x');
  const missing = await start('create');

  assert.deepEqual(created, { code: 0, stdout: 'created x.git\n', stderr: '' });
  assert.deepEqual([again.code, again.stdout], [1, '']);
  assert.match(again.stderr, /exists already/);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /missing required argument/);
});

test('a fork borrows its objects; --copy makes one that has its own', async () => {
  await using gitaly = await startGitaly({ token: 'secret' });
  process.env.GITALY_TOKEN = 'secret';
  const to = ['--to', gitaly.address];
  const at = (name: string): string => join(gitaly.storagePath(), name);
  try {
    await ok('create', 'source', ...to);
    addCommit(at('source.git'), 1);

    const made = await ok('fork', 'source', 'me/fork', ...to);
    assert.equal(made, 'created me/fork.git, a fork of source.git\n');
    const copied = await ok('fork', 'source', 'copy', '--copy', '--json', ...to);
    assert.deepEqual(JSON.parse(copied), { source: 'source.git', created: 'copy.git' });
    const absent = await repo('fork', 'source', 'other', '--branch', 'absent', ...to);
    assert.match(absent.stderr, /Remote branch absent not found/);
  } finally {
    delete process.env.GITALY_TOKEN;
  }
  const main = gitOutput(at('source.git'), ['rev-parse', 'main']);
  for (const name of ['me/fork.git', 'copy.git'])
    assert.equal(gitOutput(at(name), ['rev-parse', 'main']), main);
  const borrows = (name: string): boolean => existsSync(join(at(name), 'objects/info/alternates'));
  assert.deepEqual([borrows('me/fork.git'), borrows('copy.git')], [true, false]);
});

test('the end of a repository and of a reference is set, printed and removed', async () => {
  await using gitaly = await startGitaly();
  const to = ['--to', gitaly.address];
  await ok('create', 'a', '--expires', '2h', ...to);
  addCommit(join(gitaly.storagePath(), 'a.git'), 1);
  await ok('fork', 'a', 'b', '--expires', '30d', '--in', gitaly.address);

  const printed = await ok('expire', 'a', '--ref', 'refs/heads/main', '--in', '90m', ...to);

  const [, first = '', second = ''] = /^(\S+) a\.git\n(\S+) refs\/heads\/main\n$/.exec(printed) ?? [];
  for (const [time, minutes] of [
    [first, 120],
    [second, 90],
  ] as const)
    assert.ok(Math.abs(Date.parse(time) - Date.now() - minutes * 60_000) < 30_000, time);
  assert.match(await ok('expire', 'b', ...to), / b\.git\n$/);
  assert.equal(await ok('expire', 'b', '--never', ...to), 'b.git: nothing expires\n');
  assert.equal((await repo('expire', 'a', '--ref', 'refs/heads/main', ...to)).code, 2);
  assert.equal((await repo('expire', 'a', '--in', '1h', '--never', ...to)).code, 2);
  assert.match((await repo('expire', 'a', '--in', 'soon', ...to)).stderr, /90m, 12h or 30d/);
});

test('repo info shows the commit of a detached HEAD', async () => {
  await using gitaly = await startGitaly();
  const { path } = await gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  const id = detachHead(path);

  assert.match(
    await ok('info', 'a.git', '--to', gitaly.address),
    new RegExp(`^default branch +HEAD ${id}$`, 'm'),
  );
});

test('default branch, description and rules of a repository are set and printed', async () => {
  await using gitaly = await startGitaly();
  const to = ['--to', gitaly.address];
  const path = join(gitaly.storagePath(), 'x.git');
  await ok('create', 'x', ...to);
  addCommit(path, 1);
  gitOutput(path, ['branch', 'next', 'main']);

  assert.equal(await ok('default-branch', 'x', ...to), 'main\n');
  assert.equal(await ok('default-branch', 'x', 'next', ...to), 'next\n');
  assert.equal(gitOutput(path, ['symbolic-ref', 'HEAD']), 'refs/heads/next');
  const missing = await repo('default-branch', 'x', 'gone', ...to);
  assert.deepEqual([missing.code, missing.stdout], [1, '']);
  assert.match(missing.stderr, /there is no branch gone/);

  assert.equal(await ok('description', 'x', 'A text', ...to), 'A text\n');
  assert.match((await repo('description', 'x', 'two\nlines', ...to)).stderr, /not one line/);
  assert.deepEqual(JSON.parse(await ok('description', 'x', '--json', ...to)), {
    name: 'x.git',
    description: 'A text',
  });
  const [listed] = JSON.parse(await ok('list', '--json', ...to));
  assert.deepEqual([listed.defaultBranch, listed.description], ['next', 'A text']);
  assert.equal(await ok('description', 'x', '', ...to), '');

  const file = join(gitaly.directory, 'rules.json');
  writeFileSync(file, '{"protected": [{"on": "refs/heads/main", "update": []}]}\n');
  assert.equal(await ok('rules', 'x', ...to), 'x.git: no rules\n');
  assert.equal(await ok('rules', 'x', '--check', file, ...to), `valid ${file}\n`);
  assert.equal(await ok('rules', 'x', ...to), 'x.git: no rules\n');
  assert.equal(await ok('rules', 'x', '--set', file, ...to), 'set the rules of x.git\n');
  assert.equal(await ok('rules', 'x', ...to), readFileSync(file, 'utf8'));
  writeFileSync(file, '{"protected": [{"of": "refs/heads/main"}]}\n');
  const wrong = await repo('rules', 'x', '--set', file, ...to);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /"protected", rule 1: unknown field "of"/);
  assert.equal((await repo('rules', 'x', '--set', file, '--remove', ...to)).code, 2);
  assert.equal(await ok('rules', 'x', '--remove', ...to), 'removed the rules of x.git\n');
});

test('the pools that forks share are listed with --all', async () => {
  await using gitaly = await startGitaly();
  const to = ['--to', gitaly.address];
  await ok('create', 'x', ...to);
  addCommit(join(gitaly.storagePath(), 'x.git'), 1);
  await ok('fork', 'x', 'y', ...to);

  assert.equal(await ok('list', ...to), 'x.git\ny.git\n');
  assert.match(await ok('list', '--all', ...to), /^@pools\/.*\.git\nx\.git\ny\.git\n$/);
});
