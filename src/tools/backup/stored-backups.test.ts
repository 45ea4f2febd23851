import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addCommit, gitOutput, initRepository, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import {
  backUpAll,
  listBackups,
  pruneBackups,
  type RestoreAllOptions,
  restoreAll,
  verifyBackups,
} from './stored-backups.ts';

const KEEP_ONE = { last: 1, daily: 0, weekly: 0, monthly: 0, yearly: 0 };

/** The output of a command: the JSON lines, and the text for people. */
class Console {
  stdout = '';
  stderr = '';

  get context() {
    return {
      stdout: { write: (text: string) => (this.stdout += text) },
      stderr: { write: (text: string) => (this.stderr += text) },
      signal: new AbortController().signal,
    };
  }

  get lines(): Record<string, unknown>[] {
    return this.stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
      .sort((a, b) => (a.repository < b.repository ? -1 : 1));
  }
}

async function start(): Promise<{ gitaly: TestGitaly; url: string; path: (name: string) => string }> {
  const gitaly = await startGitaly();
  const path = (name: string): string => join(gitaly.storagePath(), name);
  initRepository(path('a.git'), { commits: 2 });
  initRepository(path('group/b.git'), { commits: 1, objectFormat: 'sha256' });
  initRepository(path('empty.git'));
  initRepository(path('@pools/6b/86/6b86.git'), { commits: 1 });
  return { gitaly, url: join(gitaly.directory, 'backups'), path };
}

async function backUp({ connection }: TestGitaly, to: string, id: string, incremental = false) {
  const output = new Console();
  const options = { connection, to, id, incremental, storage: 'default', jobs: 2, verify: false };
  return { code: await backUpAll(options, output.context), output };
}

async function verify(url: string, options: { id?: string; repository?: string } = {}) {
  const output = new Console();
  return { code: await verifyBackups(url, { id: '', repository: '', ...options }, output.context), output };
}

async function restore({ connection }: TestGitaly, url: string, options: Partial<RestoreAllOptions> = {}) {
  const output = new Console();
  const usual = { connection, id: '', repository: '', storage: 'default', replace: false, jobs: 2 };
  return { code: await restoreAll(url, { ...usual, ...options }, output.context), output };
}

test('all repositories but pools are backed up; a second run under the name continues it', async () => {
  const { gitaly, url, path } = await start();
  await using _gitaly = gitaly;

  const first = await backUp(gitaly, url, 'one');
  rmSync(join(url, 'manifests/default/group/b.git/one.toml'));
  initRepository(path('new.git'), { commits: 1 });
  const second = await backUp(gitaly, url, 'one');

  const outcomes = ({ lines }: Console) => lines.map(({ repository, outcome }) => `${repository} ${outcome}`);
  assert.deepEqual([first.code, second.code], [0, 0]);
  assert.deepEqual(outcomes(first.output), ['a.git done', 'empty.git done', 'group/b.git done']);
  assert.match(first.output.stderr, /^backup one: 3 backed up, 0 skipped, 0 failed, [\d.]+ KiB in \d s\n$/);
  assert.deepEqual(outcomes(second.output), [
    'a.git skipped',
    'empty.git skipped',
    'group/b.git done',
    'new.git done',
  ]);
  const listed = new Console();
  assert.equal(await listBackups(url, { json: true }, listed.context), 0);
  const [{ time, ...run }] = JSON.parse(listed.stdout);
  assert.deepEqual(run, { id: 'one', repositories: 4, isEnded: true, isPartial: false });
  assert.ok(Math.abs(Date.now() - Date.parse(time)) < 60_000);
});

test('one repository that fails gives exit code 3, all of them 1', async () => {
  const { gitaly, url, path } = await start();
  await using _gitaly = gitaly;
  writeFileSync(join(path('a.git'), 'config'), '[core]\n\trepositoryformatversion = 9\n');

  const { code, output } = await backUp(gitaly, url, 'one');

  assert.equal(code, 3);
  assert.deepEqual(
    output.lines.map(({ outcome }) => outcome),
    ['failed', 'done', 'done'],
  );
  const listed = new Console();
  assert.equal(await listBackups(url, { json: false }, listed.context), 1);
  assert.match(listed.stdout, /^one {2}\S+ {2}2 repositories {2}\(others failed\)\n$/);
  assert.equal(listed.stderr, 'There is no complete backup.\n');
  for (const name of ['group', 'empty.git']) rmSync(path(name), { recursive: true });
  assert.equal((await backUp(gitaly, url, 'two')).code, 1);
  // The next increment is based on the last run that stored something.
  assert.deepEqual(readdirSync(join(url, 'backup_ids')), ['one']);
});

// A user saw: a backup in which repositories had failed was listed like a complete one.
test('a partial backup that is continued to its end is complete', async () => {
  const { gitaly, url, path } = await start();
  await using _gitaly = gitaly;
  const config = readFileSync(join(path('a.git'), 'config'));
  await backUp(gitaly, url, 'full');
  writeFileSync(join(path('a.git'), 'config'), '[core]\n\trepositoryformatversion = 9\n');
  const runs = async () => {
    const listed = new Console();
    await listBackups(url, { json: true }, listed.context);
    return JSON.parse(listed.stdout).map(({ id, isPartial }: Record<string, unknown>) => [id, isPartial]);
  };

  const partial = [(await backUp(gitaly, url, 'one')).code, await runs()];
  writeFileSync(join(path('a.git'), 'config'), config);
  const complete = [(await backUp(gitaly, url, 'one')).code, await runs()];

  assert.deepEqual(partial, [
    3,
    [
      ['full', false],
      ['one', true],
    ],
  ]);
  assert.deepEqual(complete, [
    0,
    [
      ['full', false],
      ['one', false],
    ],
  ]);
});

test('a repository with a line feed in its name cannot be backed up, which is reported', async () => {
  await using gitaly = await startGitaly();
  initServed(gitaly, 'two\nlines.git', { commits: 1 });
  initServed(gitaly, 'one.git', { commits: 1 });

  const { code, output } = await backUp(gitaly, join(gitaly.directory, 'backups'), 'one');

  const error = 'names of objects cannot contain line feeds and other control characters';
  assert.equal(code, 3);
  assert.deepEqual(output.lines, [
    { repository: 'one.git', outcome: 'done' },
    { repository: 'two\nlines.git', outcome: 'failed', error },
  ]);
  assert.match(output.stderr, /^backup one: 1 backed up, 0 skipped, 1 failed/);
});

// A user saw: `list` counted fewer repositories than another program had backed up.
test('backups whose names contain line feeds are left out, which is reported', async () => {
  const { gitaly, url } = await start();
  await using _gitaly = gitaly;
  await backUp(gitaly, url, 'one');
  const foreign = join(url, 'manifests/default/two\nlines.git');
  mkdirSync(foreign);
  for (const name of ['+latest.toml', 'one.toml']) writeFileSync(join(foreign, name), '');
  const report =
    'left out 1 repository, with control characters in the name or a too long one: ' +
    '"default/two\\nlines.git"\n';

  const listed = new Console();
  await listBackups(url, { json: false }, listed.context);
  const verified = await verify(url);
  rmSync(join(foreign, 'one.toml'));
  writeFileSync(join(foreign, 'other.toml'), '');
  const named = await verify(url, { id: 'one' });
  const pruned = new Console();
  await pruneBackups(url, { retention: KEEP_ONE, isDryRun: true }, pruned.context);
  rmSync(gitaly.storagePath(), { recursive: true });
  mkdirSync(gitaly.storagePath());
  const restored = await restore(gitaly, url);

  assert.match(listed.stdout, / 3 repositories\n$/);
  assert.deepEqual([verified.code, restored.code], [3, 3]);
  assert.deepEqual([named.code, named.output.stderr], [0, '3 good, 0 bad\n']);
  for (const { stderr } of [listed, verified.output, pruned, restored.output])
    assert.equal(stderr.slice(0, report.length), report);
});

// A user saw: `list` of a mistyped directory created it, and found no complete backup in it.
test('backups are not read from a directory that does not exist, nor from memory', async () => {
  const { gitaly, url } = await start();
  await using _gitaly = gitaly;
  const { context } = new Console();
  const missing = { message: `there are no backups: ${url} does not exist` };

  await assert.rejects(listBackups(url, { json: false }, context), missing);
  await assert.rejects(listBackups(`file://${url}`, { json: false }, context), missing);
  await assert.rejects(verify(url), missing);
  await assert.rejects(restore(gitaly, url), missing);
  await assert.rejects(pruneBackups(url, { retention: KEEP_ONE, isDryRun: true }, context), missing);

  assert.equal(existsSync(url), false);
  const lost = { message: /^mem:\/\/ is lost when this program ends: / };
  await assert.rejects(backUp(gitaly, 'mem://', 'one'), lost);
  await assert.rejects(verify('mem://'), lost);
});

test('a backup is good as long as every part of it is whole', async () => {
  const { gitaly, url, path } = await start();
  await using _gitaly = gitaly;
  await backUp(gitaly, url, 'one');
  addCommit(path('a.git'), 3);
  mkdirSync(join(path('a.git'), 'custom_hooks'));
  await backUp(gitaly, url, 'two', true);

  const { code, output } = await verify(url);
  assert.equal(code, 0);
  assert.deepEqual(
    output.lines.map(({ repository, id, steps, references }) => [repository, id, steps, references]),
    [
      ['a.git', 'two', 2, 2],
      ['empty.git', 'two', 2, 0],
      ['group/b.git', 'two', 2, 2],
    ],
  );
  assert.equal((await verify(url, { id: 'one', repository: 'a.git' })).output.lines.length, 1);
  await assert.rejects(verify(url, { id: 'none' }), /there is no such backup/);

  const folder = join(url, 'default/a.git');
  const refs = readFileSync(join(folder, 'two/002.refs'));
  for (const [damage, message] of [
    [() => truncateSync(join(folder, 'one/001.bundle'), 300), /bundle "default\/a\.git\/one\/001\.bundle": /],
    [() => writeFileSync(join(folder, 'two/002.refs'), `${'1'.repeat(40)} refs/heads/x\n`), /no object.*x/],
    [() => writeFileSync(join(folder, 'two/002.refs'), refs.subarray(0, -3)), /cut off/],
    [() => rmSync(join(folder, 'two/002.refs')), /002\.refs.*doesn't exist/],
    [() => rmSync(join(folder, 'two/002.bundle')), /002\.bundle.*doesn't exist/],
    [() => writeFileSync(join(url, 'manifests/default/a.git/two.toml'), 'x'), /./],
    [() => writeFileSync(join(folder, 'two/002.custom_hooks.tar'), 'x'.repeat(600)), /custom_hooks\.tar/],
  ] as const) {
    const files = [
      'one/001.bundle',
      'two/002.refs',
      'two/002.bundle',
      'two/002.custom_hooks.tar',
      '../../manifests/default/a.git/two.toml',
    ];
    const good = files.map((file) => [join(folder, file), readFileSync(join(folder, file))] as const);
    damage();

    const found = await verify(url, { id: 'two' });

    assert.equal(found.code, 3, 'the others are good');
    assert.match(String(found.output.lines[0]?.error), message);
    for (const [file, bytes] of good) writeFileSync(file, bytes);
  }
  assert.equal((await verify(url)).code, 0);
});

test('all repositories of a backup are restored to another server; existing ones are protected', async () => {
  const { gitaly, url, path } = await start();
  await using _gitaly = gitaly;
  mkdirSync(join(path('a.git'), 'custom_hooks'));
  writeFileSync(join(path('a.git'), 'custom_hooks/update'), '#!/bin/sh\n', { mode: 0o755 });
  await backUp(gitaly, url, 'one');
  const first = gitOutput(path('a.git'), ['for-each-ref']);
  addCommit(path('a.git'), 3);
  await backUp(gitaly, url, 'two', true);
  const names = ['a.git', 'empty.git', 'group/b.git'];
  const state = (name: string, at: (name: string) => string) => [
    gitOutput(at(name), ['for-each-ref']),
    gitOutput(at(name), ['symbolic-ref', 'HEAD']),
    gitOutput(at(name), ['rev-parse', '--show-object-format']),
  ];

  await using other = await startGitaly();
  const copy = (name: string): string => join(other.storagePath(), name);
  const restored = await restore(other, url);

  assert.equal(restored.code, 0);
  assert.match(restored.output.stderr, /^restore: 3 restored, 0 skipped, 0 failed, [\d.]+ KiB in \d s\n$/);
  for (const name of names) {
    assert.deepEqual(state(name, copy), state(name, path), name);
    gitOutput(copy(name), ['fsck', '--strict']);
  }
  assert.equal(readFileSync(join(copy('a.git'), 'custom_hooks/update'), 'utf8'), '#!/bin/sh\n');

  // Once more: all is as in the backup. Then one of them has moved on.
  assert.equal((await restore(other, url)).code, 0);
  const moved = addCommit(copy('a.git'), 4);
  const refused = await restore(other, url);
  assert.equal(refused.code, 3);
  assert.match(String(refused.output.lines[0]?.error), /^the repository exists and differs .*--replace/);
  assert.equal(gitOutput(copy('a.git'), ['rev-parse', 'main']).trim(), moved);

  const older = await restore(other, url, { id: 'one', repository: 'a.git', replace: true });
  assert.deepEqual([older.code, older.output.lines.length], [0, 1]);
  assert.equal(gitOutput(copy('a.git'), ['for-each-ref']), first);
  await assert.rejects(restore(other, url, { storage: 'other' }), /there is no such backup/);
});

test('a backup that names a repository among the files of the server is not restored', async () => {
  const { gitaly, url } = await start();
  await using _gitaly = gitaly;
  assert.equal((await backUp(gitaly, url, 'one')).code, 0);
  const hostile = '+gitaly/tmp/x.git';
  mkdirSync(join(url, 'manifests/default', hostile), { recursive: true });
  const manifest = readFileSync(join(url, 'manifests/default/a.git/one.toml'));
  writeFileSync(join(url, 'manifests/default', hostile, 'one.toml'), manifest);
  await using other = await startGitaly();

  const { code, output } = await restore(other, url);

  assert.equal(code, 3);
  const line = output.lines.find(({ repository }) => repository === hostile);
  assert.match(String(line?.error), /^\+gitaly is a directory of the server's own/);
  assert.equal(existsSync(join(other.storagePath(), hostile)), false);
  assert.equal(existsSync(join(other.storagePath(), 'a.git')), true);
});

// "3 restored", with the branches of the other repository.
test('a bundle of another repository restores none of its branches', async () => {
  const { gitaly, url, path } = await start();
  await using _gitaly = gitaly;
  initRepository(path('other.git'), { commits: 1 });
  const foreign = gitOutput(path('other.git'), ['commit-tree', '-m', 'foreign', 'main^{tree}']).trim();
  for (const name of ['main', 'foreign', 'branch-1'])
    gitOutput(path('other.git'), ['update-ref', `refs/heads/${name}`, foreign]);
  assert.equal((await backUp(gitaly, url, 'one')).code, 0);
  const bundle = join(url, 'default/a.git/one/001.bundle');
  const good = readFileSync(bundle);
  writeFileSync(bundle, readFileSync(join(url, 'default/other.git/one/001.bundle')));
  assert.equal((await verify(url)).code, 3);
  await using other = await startGitaly();
  const copy = join(other.storagePath(), 'a.git');

  const created = await restore(other, url, { repository: 'a.git' });

  assert.equal(created.code, 1);
  assert.match(String(created.output.lines[0]?.error), /have no object of .* another repository/);
  assert.equal(existsSync(copy), false);

  initRepository(copy);
  const tree = gitOutput(copy, ['write-tree']).trim();
  const own = gitOutput(copy, ['commit-tree', '-m', 'own', tree]).trim();
  for (const name of ['main', 'mine']) gitOutput(copy, ['update-ref', `refs/heads/${name}`, own]);
  const before = gitOutput(copy, ['for-each-ref']);
  assert.equal((await restore(other, url, { repository: 'a.git', replace: true })).code, 1);
  assert.equal(gitOutput(copy, ['for-each-ref']), before);

  // One branch has its object, the others are at objects of no bundle.
  rmSync(copy, { recursive: true });
  writeFileSync(bundle, good);
  const list = join(url, 'default/a.git/one/001.refs');
  writeFileSync(
    list,
    readFileSync(list, 'utf8').replace(/^\S+ refs\/heads\/main$/m, `${'1'.repeat(40)} refs/heads/main`) +
      `${gitOutput(path('a.git'), ['rev-parse', 'main']).trim()} refs/heads/same\n`,
  );
  const partial = await restore(other, url, { repository: 'a.git' });
  assert.equal(partial.code, 1);
  assert.match(String(partial.output.lines[0]?.error), /^restored without 1 references/);
  assert.equal(gitOutput(copy, ['for-each-ref', '--format=%(refname)']), 'refs/heads/same');
});

// Each of them was restored with exit code 0.
test('a manifest that contradicts itself or its files is bad, and is not restored', async () => {
  const { gitaly, url } = await start();
  await using _gitaly = gitaly;
  assert.equal((await backUp(gitaly, url, 'one')).code, 0);
  await using other = await startGitaly();
  const file = join(url, 'manifests/default/a.git/one.toml');
  const good = readFileSync(file, 'utf8');
  for (const [from, to, message] of [
    ['empty = false', 'empty = true', /empty = true, but the backup has references/],
    ['non_existent = false', 'non_existent = true', /non_existent = true, but the backup has references/],
    ['refs/heads/main', 'refs/tags/v1', /HEAD cannot be "refs\/tags\/v1"/],
    ['refs/heads/main', 'main', /HEAD cannot be "main"/],
    ["custom_hooks_path = 'default", "custom_hooks_path = 'x/../default", /is not the path of an object/],
    ["custom_hooks_path = 'default", "custom_hooks_path = '../default", /escapes the bucket/],
  ] as const) {
    assert.ok(good.includes(from), from);
    writeFileSync(file, good.replace(from, to));
    for (const result of [await verify(url), await restore(other, url, { repository: 'a.git' })]) {
      assert.notEqual(result.code, 0, to);
      assert.match(result.output.lines.map(({ error }) => error).join(), message);
    }
    assert.equal(existsSync(join(other.storagePath(), 'a.git')), false, to);
  }
});

// Born failing: the backup was good, and its restore failed.
test('a backup with a reference that git refuses is bad', async () => {
  const { gitaly, url } = await start();
  await using _gitaly = gitaly;
  assert.equal((await backUp(gitaly, url, 'one')).code, 0);
  const file = join(url, 'default/a.git/one/001.refs');
  const references = readFileSync(file, 'utf8');
  writeFileSync(file, `${references}${references.slice(0, 40)} refs/heads/../../hooks/update\n`);

  const { code, output } = await verify(url, { repository: 'a.git' });

  assert.equal(code, 1);
  assert.match(String(output.lines[0]?.error), /"refs\/heads\/..\/..\/hooks\/update" is no name/);
});

test('a repository whose backup is damaged is not restored, and does not keep the others back', async () => {
  const { gitaly, url } = await start();
  await using _gitaly = gitaly;
  await backUp(gitaly, url, 'one');
  truncateSync(join(url, 'default/a.git/one/001.bundle'), 300);
  await using other = await startGitaly();

  const { code, output } = await restore(other, url);

  assert.equal(code, 3);
  assert.deepEqual(
    output.lines.map(({ repository, outcome }) => `${repository} ${outcome}`),
    ['a.git failed', 'empty.git done', 'group/b.git done'],
  );
  assert.deepEqual(
    readdirSync(other.storagePath()).filter((name) => name.endsWith('.git')),
    ['empty.git'],
  );
});

// One damaged manifest, and nothing of the repositories behind it was removed any more.
test('pruning leaves a repository with an unreadable manifest, names it, and goes on', async () => {
  const { gitaly, url, path } = await start();
  await using _gitaly = gitaly;
  await backUp(gitaly, url, 'one');
  const manifests = join(url, 'manifests/default');
  writeFileSync(join(manifests, 'a.git/one.toml'), 'later = [');
  addCommit(path('group/b.git'), 3);
  await backUp(gitaly, url, 'two');
  const output = new Console();

  await assert.rejects(
    pruneBackups(url, { retention: KEEP_ONE, isDryRun: false }, output.context),
    /^Error: 1 repository was left as it is: manifests\/default\/a\.git\/one\.toml: /,
  );

  assert.deepEqual(readdirSync(join(manifests, 'a.git')).sort(), ['+latest.toml', 'one.toml', 'two.toml']);
  assert.deepEqual(readdirSync(join(manifests, 'group/b.git')).sort(), ['+latest.toml', 'two.toml']);
  assert.deepEqual(readdirSync(join(url, 'backup_ids')).sort(), ['one', 'two']);
});

test('pruning keeps what is needed, also by an increment whose base is removed', async () => {
  const { gitaly, url, path } = await start();
  await using _gitaly = gitaly;
  await backUp(gitaly, url, 'one');
  rmSync(path('group'), { recursive: true });
  addCommit(path('a.git'), 3);
  await backUp(gitaly, url, 'two', true);
  addCommit(path('a.git'), 4);
  await backUp(gitaly, url, 'three', true);
  await backUp(gitaly, url, 'other', false);
  rmSync(join(url, 'backup_ids/other')); // interrupted
  const files = (): string[] =>
    readdirSync(join(url, 'default/a.git'), { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.includes('.'),
    );
  const before = files().sort();

  const dry = new Console();
  await pruneBackups(url, { retention: KEEP_ONE, isDryRun: true }, dry.context);
  assert.equal(dry.stdout, 'remove  one\nremove  two\nkeep    three\nkeep    other\n');
  assert.deepEqual(files().sort(), before);
  const output = new Console();
  await pruneBackups(url, { retention: KEEP_ONE, isDryRun: false }, output.context);

  // The increments of `three` need the files of all before it.
  assert.deepEqual(files().sort(), before);
  const manifests = (name: string): string[] => readdirSync(join(url, 'manifests/default', name)).sort();
  assert.deepEqual(manifests('a.git'), ['+latest.toml', 'other.toml', 'three.toml']);
  // A repository that is gone keeps its newest backup.
  assert.deepEqual(manifests('group/b.git'), ['+latest.toml', 'one.toml']);
  assert.deepEqual(readdirSync(join(url, 'backup_ids')).sort(), ['one', 'three']);
  assert.equal((await verify(url, { id: 'three' })).code, 0);

  await backUp(gitaly, url, 'full', false);
  await pruneBackups(url, { retention: KEEP_ONE, isDryRun: false }, output.context);
  assert.deepEqual(manifests('a.git'), ['+latest.toml', 'full.toml']);
  assert.deepEqual(files(), ['full/001.bundle', 'full/001.refs']);
  assert.equal((await verify(url)).code, 0);
});
