import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { pathOf, startWithBackups } from '#testkit/servers/start-with-backups';
import type { TestGitaly } from '#testkit/start-gitaly';

const vanityRepository = { storageName: 'group', relativePath: 'name.git' };
const original = { storageName: 'default', relativePath: 'x.git' };
const copy = { storageName: 'default', relativePath: 'copy.git' };

function fileOf(gitaly: TestGitaly, name: string): string {
  return join(gitaly.directory, 'backups/group/name.git', name);
}

/** Everything of a repository that a restore may change. */
function stateOf(path: string): string[] {
  gitOutput(path, ['fsck', '--full', '--strict']);
  const hook = join(path, 'custom_hooks/pre-receive');
  return [
    gitOutput(path, ['symbolic-ref', 'HEAD']),
    gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname)']),
    existsSync(hook) ? readFileSync(hook, 'utf8') : 'no hook',
  ];
}

function backUp(gitaly: TestGitaly, backupId: string, options: object = {}): Promise<unknown> {
  const request = { repository: original, vanityRepository, backupId, ...options };
  return gitaly.connection.repository.backupRepository(request);
}

function restore(gitaly: TestGitaly, backupId: string, repository = copy): Promise<unknown> {
  return gitaly.connection.repository.restoreRepository({ repository, vanityRepository, backupId });
}

/** Makes a full backup `one` and increments `two` and `three`, each with a commit and other hooks. */
async function backUpThrice(gitaly: TestGitaly): Promise<void> {
  const path = pathOf(gitaly, original);
  initRepository(path);
  for (const [index, id] of ['one', 'two', 'three'].entries()) {
    addCommit(path, index + 1);
    gitOutput(path, ['branch', id, 'main']);
    mkdirSync(join(path, 'custom_hooks'), { recursive: true });
    writeFileSync(join(path, 'custom_hooks/pre-receive'), `#!/bin/sh\n# ${id}\n`, { mode: 0o755 });
    await backUp(gitaly, id, { incremental: index > 0 });
  }
}

/** Another repository, with references that the backup does not have. */
function makeOther(gitaly: TestGitaly): string {
  const path = pathOf(gitaly, copy);
  initRepository(path);
  for (const number of [1, 7]) addCommit(path, number);
  gitOutput(path, ['branch', 'mine', 'main~1']);
  gitOutput(path, ['symbolic-ref', 'HEAD', 'refs/heads/mine']);
  mkdirSync(join(path, 'custom_hooks'));
  writeFileSync(join(path, 'custom_hooks/pre-receive'), '#!/bin/sh\n# mine\n', { mode: 0o755 });
  return path;
}

const key = (name: string): string => `"group/name.git/${name}"`;
const missing = (name: string): string => `sink: new reader for ${key(name)}: doesn't exist`;

const NOT_FETCHED =
  /^restore bundle: fetch bundle: "group\/name.git\/three\/003.bundle": local repository: fetch bundle: fetch bundle: exit status/;

/** Restored with OK once: an increment without its bundle was taken for one in which nothing was new. */
const DAMAGES: {
  readonly name: string;
  readonly damage: (gitaly: TestGitaly) => void;
  readonly message: string | RegExp;
}[] = [
  {
    name: 'without the bundle of the last increment',
    damage: (gitaly) => rmSync(fileOf(gitaly, 'three/003.bundle')),
    message: `restore bundle: get reader: ${key('three/003.bundle')}: ${missing('three/003.bundle')}`,
  },
  {
    name: 'without the bundle of an increment in between',
    damage: (gitaly) => rmSync(fileOf(gitaly, 'two/002.bundle')),
    message: `restore bundle: get reader: ${key('two/002.bundle')}: ${missing('two/002.bundle')}`,
  },
  {
    name: 'without the first bundle',
    damage: (gitaly) => rmSync(fileOf(gitaly, 'one/001.bundle')),
    message: `restore bundle: get reader: ${key('one/001.bundle')}: ${missing('one/001.bundle')}`,
  },
  {
    name: 'without the references of the last increment',
    damage: (gitaly) => rmSync(fileOf(gitaly, 'three/003.refs')),
    message: `read refs: read refs: ${missing('three/003.refs')}`,
  },
  {
    name: 'without the references of the first step',
    damage: (gitaly) => rmSync(fileOf(gitaly, 'one/001.refs')),
    message: `read refs: read refs: ${missing('one/001.refs')}`,
  },
  {
    name: 'with a bundle that is cut off',
    damage: (gitaly) => truncateSync(fileOf(gitaly, 'three/003.bundle'), 120),
    message: NOT_FETCHED,
  },
  {
    name: 'with a bundle of no bytes',
    damage: (gitaly) => truncateSync(fileOf(gitaly, 'three/003.bundle')),
    message: NOT_FETCHED,
  },
  {
    name: 'with a list of references that is cut off',
    damage: (gitaly) => {
      const list = fileOf(gitaly, 'three/003.refs');
      truncateSync(list, readFileSync(list).length - 2);
    },
    message: 'read refs: read refs: the list of references in the backup is cut off',
  },
];

for (const { name, damage, message } of DAMAGES) {
  test(`a backup ${name} is refused, and nothing changes`, async () => {
    await using gitaly = await startWithBackups();
    await backUpThrice(gitaly);
    damage(gitaly);
    const prefix = 'restore repository: manager: restore from bundle: ';
    const expected =
      typeof message === 'string'
        ? { code: 'INTERNAL', message: prefix + message }
        : { code: 'INTERNAL', message: new RegExp(message.source.replace('^', `^${prefix}`)) };

    await assert.rejects(restore(gitaly, 'three'), expected);
    assert.equal(existsSync(pathOf(gitaly, copy)), false);

    const other = makeOther(gitaly);
    const before = stateOf(other);
    await assert.rejects(restore(gitaly, 'three'), expected);
    assert.deepEqual(stateOf(other), before);
    assert.deepEqual(readdirSync(join(gitaly.storagePath(), '+gitaly/tmp')), []);
  });
}

test('hooks that cannot be restored change nothing', async () => {
  await using gitaly = await startWithBackups();
  await backUpThrice(gitaly);
  truncateSync(fileOf(gitaly, 'three/003.custom_hooks.tar'), 700);
  const other = makeOther(gitaly);
  const before = stateOf(other);
  const message = /restore custom hooks, "group\/name.git\/three\/003.custom_hooks.tar": .*extracting hooks/;

  await assert.rejects(restore(gitaly, 'three'), { code: 'INTERNAL', message });
  assert.deepEqual(stateOf(other), before);

  const list = join(gitaly.directory, 'backups/manifests/group/name.git/three.toml');
  writeFileSync(list, readFileSync(list, 'utf8').replace('empty = false', 'empty = true'));
  truncateSync(fileOf(gitaly, 'three/003.refs'), 0);
  await assert.rejects(restore(gitaly, 'three'), { code: 'INTERNAL', message });
  assert.deepEqual(stateOf(other), before);
});

test('a manifest of an unknown object format is refused', async () => {
  await using gitaly = await startWithBackups();
  await backUpThrice(gitaly);
  const list = join(gitaly.directory, 'backups/manifests/group/name.git/three.toml');
  const manifest = readFileSync(list, 'utf8');
  for (const format of ['', 'sha512']) {
    writeFileSync(list, manifest.replace("object_format = 'sha1'", `object_format = '${format}'`));
    const message = new RegExp(
      `^restore repository: manager: restore from bundle: create empty repo: .*format: "${format}"$`,
    );
    await assert.rejects(restore(gitaly, 'three'), { code: 'INTERNAL', message });
  }
  assert.equal(existsSync(pathOf(gitaly, copy)), false);
});

test('a bucket that is gone does not remove the repository', async () => {
  await using gitaly = await startWithBackups();
  await backUpThrice(gitaly);
  const other = makeOther(gitaly);
  const before = stateOf(other);
  const bucket = join(gitaly.directory, 'backups');
  renameSync(bucket, `${bucket}-unmounted`);

  await assert.rejects(restore(gitaly, ''), {
    code: 'INTERNAL',
    message: /directory .*backups does not exist/,
  });

  assert.deepEqual(stateOf(other), before);
});

test('an existing repository gets the last state of several steps, and keeps none of its own', async () => {
  await using gitaly = await startWithBackups();
  await backUpThrice(gitaly);
  const other = makeOther(gitaly);

  await restore(gitaly, 'three');

  assert.deepEqual(stateOf(other), stateOf(pathOf(gitaly, original)));
});

test('an increment of a repository that did not exist before is a full backup', async () => {
  await using gitaly = await startWithBackups();
  await backUp(gitaly, 'none');
  initRepository(pathOf(gitaly, original), { commits: 2 });

  await backUp(gitaly, 'some', { incremental: true });
  await restore(gitaly, 'some');

  assert.deepEqual(stateOf(pathOf(gitaly, copy)), stateOf(pathOf(gitaly, original)));
});

for (const objectFormat of ['sha1', 'sha256'] as const) {
  // gitaly-backup and Gitaly refused the backup: its manifest named a bundle that was not there.
  test(`an increment of an unchanged ${objectFormat} repository has the header of a bundle`, async () => {
    await using gitaly = await startWithBackups();
    initRepository(pathOf(gitaly, original), { commits: 2, objectFormat });
    await backUp(gitaly, 'one');

    await backUp(gitaly, 'two', { incremental: true });
    await restore(gitaly, 'two');

    const header =
      objectFormat === 'sha1' ? '# v2 git bundle\n\n' : '# v3 git bundle\n@object-format=sha256\n\n';
    assert.equal(readFileSync(fileOf(gitaly, 'two/002.bundle'), 'utf8'), header);
    assert.deepEqual(stateOf(pathOf(gitaly, copy)), stateOf(pathOf(gitaly, original)));
  });
}
