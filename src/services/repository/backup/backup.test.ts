import assert from 'node:assert/strict';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeManifest } from '#domain/backup/manifest';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { outputSync } from '#testkit/run-program-sync';
import { pathOf, startWithBackups } from '#testkit/servers/start-with-backups';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const vanityRepository = { storageName: 'group', relativePath: 'name.git' };
const original = { storageName: 'default', relativePath: 'x.git' };
const copy = { storageName: 'default', relativePath: 'a/copy.git' };

/** Everything of a repository that a backup keeps, as git sees it. */
function stateOf(path: string): string[] {
  gitOutput(path, ['fsck', '--full', '--strict']);
  return [
    gitOutput(path, ['symbolic-ref', 'HEAD']),
    gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname)']),
    gitOutput(path, ['rev-parse', '--show-object-format']),
  ];
}

function backUp(gitaly: TestGitaly, backupId: string, options: object = {}): Promise<unknown> {
  const request = { repository: original, vanityRepository, backupId, ...options };
  return gitaly.connection.repository.backupRepository(request);
}

function restore(gitaly: TestGitaly, backupId: string, repository = copy): Promise<unknown> {
  return gitaly.connection.repository.restoreRepository({ repository, vanityRepository, backupId });
}

/** Backups that Gitaly wrote; `fixtures/README.md` lists the requests. */
const RECORDED = join(import.meta.dirname, 'fixtures/recorded-backups');
const IDS = ['one', 'two', 'three'] as const;
const HOOK = '#!/bin/sh\n';

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`each backup of a ${objectFormat} repository restores its own time`, async () => {
    await using gitaly = await startWithBackups();
    const path = pathOf(gitaly, original);
    initRepository(path, { commits: 2, objectFormat });
    gitOutput(path, ['tag', '-a', '-m', 'annotated', 'v1', 'main']);
    gitOutput(path, ['branch', 'old', 'main~1']);
    const states = [stateOf(path)];
    await backUp(gitaly, 'one');
    addCommit(path, 3);
    gitOutput(path, ['branch', '-D', 'old']);
    gitOutput(path, ['branch', 'new', 'main~2']);
    gitOutput(path, ['update-ref', 'refs/keep-around/x', 'main']);
    states.push(stateOf(path));
    await backUp(gitaly, 'two', { incremental: true });
    gitOutput(path, ['symbolic-ref', 'HEAD', 'refs/heads/new']);
    states.push(stateOf(path));
    await backUp(gitaly, 'three', { incremental: true });

    for (const [index, id] of ['one', 'two', 'three'].entries()) {
      const target = { storageName: 'default', relativePath: `restored/${id}.git` };
      await restore(gitaly, id, target);
      assert.deepEqual(stateOf(pathOf(gitaly, target)), states[index], id);
    }
    // From one state to another in a repository that exists.
    await restore(gitaly, 'three', copy);
    for (const index of [0, 2, 1]) {
      await restore(gitaly, ['one', 'two', 'three'][index] ?? '', copy);
      assert.deepEqual(stateOf(pathOf(gitaly, copy)), states[index]);
    }
  });
}

test('an increment has only what is new', async () => {
  await using gitaly = await startWithBackups();
  const path = pathOf(gitaly, original);
  initRepository(path, { commits: 3 });
  await backUp(gitaly, 'one');
  addCommit(path, 4);

  await backUp(gitaly, 'two', { incremental: true });

  const bundle = join(gitaly.directory, 'backups/group/name.git/two/002.bundle');
  const header = readFileSync(bundle, 'latin1').split('PACK', 1)[0] ?? '';
  assert.match(header, new RegExp(`^-${gitOutput(path, ['rev-parse', 'main~1'])}`, 'm'));
  assert.match(header, new RegExp(`^${gitOutput(path, ['rev-parse', 'main'])} refs/heads/main$`, 'm'));
});

test('an increment is based on the given backup, and on the newest where that is missing', async () => {
  await using gitaly = await startWithBackups();
  initRepository(pathOf(gitaly, original), { commits: 1 });
  await backUp(gitaly, 'one');
  await backUp(gitaly, 'two');

  await backUp(gitaly, 'three', { incremental: true, latestBackupId: 'one' });
  await backUp(gitaly, 'four', { incremental: true, latestBackupId: 'none' });

  const manifest = (id: string): string =>
    readFileSync(join(gitaly.directory, `backups/manifests/group/name.git/${id}.toml`), 'utf8');
  assert.match(manifest('three'), /^previous_ref_path = 'group\/name.git\/one\/001.refs'$/m);
  assert.match(manifest('four'), /^previous_ref_path = 'group\/name.git\/three\/002.refs'$/m);
});

test('custom hooks are restored with their modes', async () => {
  await using gitaly = await startWithBackups();
  const path = pathOf(gitaly, original);
  initRepository(path, { commits: 1 });
  mkdirSync(join(path, 'custom_hooks/pre-receive.d'), { recursive: true });
  writeFileSync(join(path, 'custom_hooks/pre-receive.d/one'), '#!/bin/sh\n', { mode: 0o755 });

  await backUp(gitaly, 'hooked');
  await restore(gitaly, 'hooked');

  const hook = join(pathOf(gitaly, copy), 'custom_hooks/pre-receive.d/one');
  assert.equal(readFileSync(hook, 'utf8'), '#!/bin/sh\n');
  assert.equal(statSync(hook).mode & 0o777, 0o755);
});

test('a damaged bundle leaves nothing of a new repository, and the references of an old one', async () => {
  await using gitaly = await startWithBackups();
  initRepository(pathOf(gitaly, original), { commits: 3 });
  await backUp(gitaly, 'one');
  const bundle = join(gitaly.directory, 'backups/group/name.git/one/001.bundle');
  truncateSync(bundle, readFileSync(bundle).length - 30);

  await assert.rejects(restore(gitaly, 'one'), {
    code: 'INTERNAL',
    message:
      /^restore repository: manager: .*restore bundle: fetch bundle: "group\/name.git\/one\/001.bundle"/,
  });
  assert.equal(existsSync(pathOf(gitaly, copy)), false);

  initRepository(pathOf(gitaly, copy), { commits: 1 });
  addCommit(pathOf(gitaly, copy), 7);
  const before = stateOf(pathOf(gitaly, copy));
  await assert.rejects(restore(gitaly, 'one'), { code: 'INTERNAL' });
  assert.deepEqual(stateOf(pathOf(gitaly, copy)), before);
});

test('references without objects are left out of a restored repository, and logged', async () => {
  await using gitaly = await startWithBackups();
  const path = pathOf(gitaly, original);
  initRepository(path, { commits: 2 });
  await backUp(gitaly, 'one');
  const list = join(gitaly.directory, 'backups/group/name.git/one/001.refs');
  for (const name of ['gone', 'too']) appendFileSync(list, `${'1'.repeat(40)} refs/heads/${name}\n`);

  await restore(gitaly, 'one');

  assert.deepEqual(stateOf(pathOf(gitaly, copy)), stateOf(path));
  const [call] = gitaly.log.filter((line) => line['grpc.method'] === 'RestoreRepository');
  assert.equal(call?.['restore.skipped_references'], 2);
});

test('a hostile manifest reads nothing outside the bucket', async () => {
  await using gitaly = await startWithBackups();
  initRepository(pathOf(gitaly, original), { commits: 1 });
  await backUp(gitaly, 'one');
  const folder = join(gitaly.directory, 'backups/manifests/group/name.git');
  const manifest = readFileSync(join(folder, 'one.toml'), 'utf8');
  mkdirSync(join(gitaly.directory, 'outside'));
  writeFileSync(join(gitaly.directory, 'outside/001.refs'), `${'1'.repeat(40)} refs/heads/secret\n`);
  writeFileSync(join(folder, 'evil.toml'), manifest.replaceAll('group/name.git/one', '../outside'));

  await assert.rejects(restore(gitaly, 'evil'), { code: 'INVALID_ARGUMENT', message: /escapes the bucket/ });

  assert.equal(existsSync(pathOf(gitaly, copy)), false);
});

test('of restores of one repository at once, one succeeds', async () => {
  await using gitaly = await startWithBackups();
  initRepository(pathOf(gitaly, original), { commits: 2 });
  await backUp(gitaly, 'one');

  const outcomes = await Promise.allSettled([1, 2, 3].map(() => restore(gitaly, 'one')));

  assert.ok(outcomes.some(({ status }) => status === 'fulfilled'));
  assert.deepEqual(stateOf(pathOf(gitaly, copy)), stateOf(pathOf(gitaly, original)));
  assert.deepEqual(readdirSync(join(gitaly.storagePath(), '+gitaly/tmp')), []);
});

test('GenerateBundleURI stores a bundle of the default branch from which git clones', async () => {
  const config = (directory: string) => ({ bundle_uri: { go_cloud_url: join(directory, 'bundles') } });
  await using gitaly = await startGitaly({ config });
  const path = pathOf(gitaly, original);
  initRepository(path);
  const generate = () => gitaly.connection.repository.generateBundleURI({ repository: original });
  await assert.rejects(generate(), {
    code: 'FAILED_PRECONDITION',
    message:
      'generate bundle: ref "refs/heads/main" does not exist: create bundle: refusing to create empty bundle',
  });
  addCommit(path, 1);
  gitOutput(path, ['branch', 'other']);

  await generate();

  const bundle = join(gitaly.directory, 'bundles/default/x.git/uri/default.bundle');
  assert.equal(
    gitOutput(path, ['bundle', 'list-heads', bundle]),
    `${gitOutput(path, ['rev-parse', 'main'])} refs/heads/main`,
  );
});

test('an incremental backup of an unchanged repository starts no git', async () => {
  await using gitaly = await startGitaly({
    config: (directory) => {
      const git = join(directory, 'logging-git');
      writeFileSync(git, `#!/bin/sh\necho "$*" >>${directory}/started\nexec git "$@"\n`, { mode: 0o755 });
      const bucket = `file://${directory}/bucket`;
      return { backup: { go_cloud_url: bucket }, git: { bin_path: git } };
    },
  });
  initRepository(pathOf(gitaly, original), { commits: 3 });
  await backUp(gitaly, 'one');
  const started = () => readFileSync(join(gitaly.directory, 'started'), 'utf8');
  const before = started();

  await backUp(gitaly, 'two', { incremental: true });

  assert.equal(started(), before);
});

test('a bucket that only Gitaly can open is a warning, and its calls are refused', async () => {
  await using gitaly = await startGitaly({ config: { backup: { go_cloud_url: 'blob+s3://bucket' } } });

  await assert.rejects(backUp(gitaly, 'one'), { code: 'FAILED_PRECONDITION' });

  assert.ok(gitaly.log.some(({ level, key }) => level === 'warning' && key === 'backup.go_cloud_url'));
});

for (const objectFormat of ['sha1', 'sha256'] as const) {
  const vanityRepository = { storageName: 'default', relativePath: `${objectFormat}.git` };

  test(`the recorded backups of a ${objectFormat} repository are restored`, async () => {
    await using gitaly = await startWithBackups();
    cpSync(RECORDED, join(gitaly.directory, 'backups'), { recursive: true });

    for (const [index, backupId] of IDS.entries()) {
      const repository = { storageName: 'default', relativePath: `${backupId}.git` };
      await gitaly.connection.repository.restoreRepository({ repository, vanityRepository, backupId });

      const path = join(gitaly.storagePath(), repository.relativePath);
      const manifest = decodeManifest(
        readFileSync(join(RECORDED, `manifests/default/${objectFormat}.git/${backupId}.toml`), 'utf8'),
      );
      gitOutput(path, ['fsck', '--full', '--strict']);
      assert.equal(manifest.steps.length, index + 1);
      assert.equal(
        `${gitOutput(path, ['show-ref', '--head'])}\n`,
        readFileSync(join(RECORDED, manifest.steps.at(-1)?.refPath ?? ''), 'utf8'),
      );
      assert.deepEqual(
        [gitOutput(path, ['symbolic-ref', 'HEAD']), gitOutput(path, ['rev-parse', '--show-object-format'])],
        [manifest.headReference, manifest.objectFormat],
      );
      assert.equal(readFileSync(join(path, 'custom_hooks/pre-receive'), 'utf8'), HOOK);
    }
  });

  test(`backups of a ${objectFormat} repository have the files of the recorded ones`, async () => {
    await using gitaly = await startWithBackups();
    const repository = { storageName: 'default', relativePath: 'x.git' };
    const path = join(gitaly.storagePath(), 'x.git');
    const backUp = (backupId: string, incremental: boolean) =>
      gitaly.connection.repository.backupRepository({ repository, vanityRepository, backupId, incremental });

    initRepository(path, { commits: 1, objectFormat });
    gitOutput(path, ['tag', '-a', '-m', 'annotated', 'v1', 'main']);
    mkdirSync(join(path, 'custom_hooks'));
    writeFileSync(join(path, 'custom_hooks/pre-receive'), HOOK, { mode: 0o755 });
    await backUp('one', false);
    addCommit(path, 2);
    gitOutput(path, ['branch', 'other', 'main~1']);
    await backUp('two', true);
    await backUp('three', true);

    const written = join(gitaly.directory, 'backups');
    const names = filesOf(RECORDED).filter((name) => name.includes(`/${objectFormat}.git/`));
    assert.deepEqual(filesOf(written), names);
    for (const name of names)
      assert.deepEqual(contentOf(join(written, name)), contentOf(join(RECORDED, name)), name);
  });
}

function filesOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

/**
 * Returns what must be the same in a file: all of a manifest and of references, the header of a
 * bundle (its pack depends on git's version), the entries of an archive (without times).
 */
function contentOf(file: string): string {
  if (file.endsWith('.tar')) return outputSync('tar', ['-tf', file]).toString();
  const content = readFileSync(file, 'latin1');
  return file.endsWith('.bundle') ? (content.split('PACK', 1)[0] ?? '') : content;
}
