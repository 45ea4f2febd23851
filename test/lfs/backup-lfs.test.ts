import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { createBackup, restoreBackup } from '#cli/backup';
import { prepareLfs } from '#cli/up/up-lfs';
import { Repository } from '#client/repository/repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { LfsSite } from './lfs-site.ts';

const ONE = Buffer.from('one\n'.repeat(50_000));
const TWO = Buffer.from('two');

interface Opened {
  readonly site: LfsSite;
  /** Directory of the backups. */
  readonly backups: string;
}

/** Makes a repository with two files, which its fork has, too, and one with another. */
async function open(context: TestContext): Promise<Opened> {
  const site = await LfsSite.open();
  context.after(() => site[Symbol.asyncDispose]());
  const { connection } = site.gitaly;
  for (const path of ['team/a.git', 'team/b.git']) await new Repository(connection, { path }).create();
  await site.store(ONE);
  await new Repository(connection, { path: 'team/a.git' }).fork('team/fork.git');
  await site.store(TWO, 'team/b.git');
  return { site, backups: join(site.directory, 'backups') };
}

async function backUp({ backups, site }: Opened, id: string) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const options = { to: backups, storage: 'default', id, incremental: false, jobs: 2, verify: false };
  const code = await createBackup(
    site.gitaly.address,
    { ...options, lfs: site.storeUrl },
    { stdout, stderr },
  );
  return { code, notes: await text(stderr.end()) };
}

async function restore(backups: string, site: LfsSite, repository = '', lfs = site.storeUrl) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const options = { to: site.gitaly.address, storage: 'default', id: '', replace: false, jobs: 2 };
  const code = await restoreBackup(backups, { ...options, repository, lfs }, { stdout, stderr });
  return { code, notes: await text(stderr.end()) };
}

test('a backup has the files, once for all backups, and a restore brings them back', async (context) => {
  const opened = await open(context);
  const first = await backUp(opened, 'one');
  assert.deepEqual([first.code, /LFS: 2 copied, 0 there already, 0 failed/.test(first.notes)], [0, true]);
  assert.match((await backUp(opened, 'two')).notes, /LFS: 0 copied, 2 there already, 0 failed/);
  await using other = await LfsSite.open();

  const restored = await restore(opened.backups, other);

  assert.deepEqual([restored.code, /LFS: 2 copied/.test(restored.notes)], [0, true]);
  for (const [path, content] of [
    ['team/a.git', ONE],
    ['team/fork.git', ONE],
    ['team/b.git', TWO],
  ] as const)
    assert.ok((await other.read(content, path)).bytes.equals(content), path);
});

test('a restore of one repository brings back the files that it reads', async (context) => {
  const opened = await open(context);
  await backUp(opened, 'one');
  await using other = await LfsSite.open();

  const off = await restore(opened.backups, other, 'team/b.git', 'off');
  assert.match(off.notes, /Files of Git LFS are not restored/);
  const { notes } = await restore(opened.backups, other, 'team/fork.git');

  assert.match(notes, /LFS: 1 copied/);
  assert.equal((await other.read(ONE, 'team/fork.git')).status, 200);
  assert.equal((await other.read(TWO, 'team/b.git')).status, 404);
});

test('a damaged file is not backed up, and the backup is partial', async (context) => {
  const opened = await open(context);
  const { directory } = opened.site;
  for (const entry of readdirSync(join(directory, 'store'), { recursive: true, withFileTypes: true }))
    if (entry.isFile()) writeFileSync(join(entry.parentPath, entry.name), 'damaged');

  const { code, notes } = await backUp(opened, 'one');

  assert.deepEqual(
    [code, /LFS: 0 copied, 0 there already, 2 failed.*SHA-256 differs/.test(notes)],
    [3, true],
  );
  const kept = readdirSync(join(opened.backups, 'git-lfs'), { recursive: true, withFileTypes: true });
  assert.deepEqual(
    kept.filter((entry) => entry.isFile()),
    [],
  );
});

test('a backup of a directory whose files are in a bucket says that it has none of them', async () => {
  const directory = makeScratchDirectory('backup-note');
  const [to, url] = [join(directory, 'backups'), `s3://bucket?region=x&prefix=secret/`];
  const backUpDirectory = async (lfs?: string): Promise<string> => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const options = { to, storage: 'default', id: 'one', incremental: false, jobs: 1, verify: false, lfs };
    await createBackup(join(directory, 'git'), options, { stdout, stderr });
    return await text(stderr.end());
  };
  mkdirSync(join(directory, 'git/lfs'), { recursive: true });

  await prepareLfs(join(directory, 'git'), { lfs: url });
  assert.match(await backUpDirectory(), /LFS are not backed up: name their store, s3:\/\/bucket, with --lfs/);
  assert.doesNotMatch(await backUpDirectory('off'), /LFS/);
  for (const lfs of [undefined, join(directory, 'git/lfs')]) {
    await prepareLfs(join(directory, 'git'), { lfs: url });
    await prepareLfs(join(directory, 'git'), { lfs });
    assert.match(await backUpDirectory(), /files of Git LFS: 0 copied/);
  }
  rmSync(directory, { recursive: true });
});
