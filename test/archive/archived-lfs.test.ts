/** Files of Git LFS in an archive: the store of the server is a directory. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openArchiveBucket } from '#archive/bucket/archive-bucket';
import { pruneLfsFiles } from '#archive/lfs/prune-lfs-files';
import { commitFiles } from '#client/index';
import { LfsObjects } from '#object-store/lfs-objects';
import { openStore } from '#object-store/open-store';
import { lfsPointer } from '#testkit/repositories/lfs-pointer';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { type ArchivedServer, startArchived } from './archived-server.ts';

const directory = makeScratchDirectory('archive-lfs');
after(() => rmSync(directory, { recursive: true, force: true }));
const { signal } = new AbortController();
const LARGE = randomBytes(3 << 20);
const SMALL = Buffer.from('small');
const ID = 'id-of-a';
const FORK = 'id-of-fork';

interface Site {
  readonly path: string;
  /** URL of the store of Git LFS. */
  readonly store: string;
}

function place(name: string): Site {
  const path = join(directory, name);
  mkdirSync(path);
  return { path, store: pathToFileURL(join(path, 'lfs')).href };
}

function start({ path, store }: Site): Promise<ArchivedServer> {
  return startArchived({ directory: path, config: { lfs: { url: store, refuse_missing: false } } });
}

/** Stores a file as the gateway does. */
async function send({ store }: Site, content: Buffer, id = ID): Promise<void> {
  const objects = new LfsObjects(await openStore(store), [id]);
  await objects.write(oidOf(content), Readable.from([content]), { sizeBytes: content.length, signal });
}

/** Reads a file of the store. */
async function received(
  { store }: Site,
  content: Buffer,
  ids: [string, ...string[]] = [ID],
): Promise<Buffer> {
  const objects = new LfsObjects(await openStore(store), ids);
  const file = await objects.find(oidOf(content), signal);
  assert.ok(file !== undefined, 'the file is missing');
  return Buffer.concat(await Array.fromAsync(objects.content(file, undefined, signal)));
}

function oidOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

function at(relativePath: string) {
  return { storageName: 'default', relativePath, glRepository: relativePath };
}

async function create(
  { connection }: Pick<ArchivedServer, 'connection'>,
  path: string,
  ids: string[],
): Promise<void> {
  await connection.repository.createRepository({ repository: at(path) });
  await connection.settings.setLfsIds({ repository: at(path), ids });
}

async function commit(
  { connection }: Pick<ArchivedServer, 'connection'>,
  path: string,
  contents: Buffer[],
): Promise<void> {
  const fields = { repository: at(path), user: USER, branchName: Buffer.from('main') };
  const files = contents.map((content) => {
    return { type: 'create', path: oidOf(content), content: lfsPointer(content) } as const;
  });
  await commitFiles(connection, { ...fields, commitMessage: Buffer.from('files') }, files);
}

/** Returns the keys of the files in the bucket. */
function archivedFiles({ path }: Site): string[] {
  const folder = join(path, 'bucket', 'lfs');
  if (!existsSync(folder)) return [];
  const all = readdirSync(folder, { recursive: true, withFileTypes: true });
  return all
    .filter((entry) => entry.isFile() && /^[\da-f]{64}$/.test(entry.name))
    .map(({ name, parentPath }) => join(parentPath, name));
}

function idOfFile({ path }: Site, file: string): string {
  return file.slice(join(path, 'bucket', 'lfs').length + 1).split('/')[0] ?? '';
}

function damage(file: string): void {
  const bytes = readFileSync(file);
  bytes[0] = (bytes[0] ?? 0) ^ 0xff;
  writeFileSync(file, bytes);
}

/** Moves the storage and the files away. */
function loseDisk({ path }: Site): void {
  for (const name of ['default', 'lfs']) renameSync(join(path, name), join(path, `lost-${name}`));
}

test('the files of a lost disk come back from the bucket; a fork shares them', async () => {
  const site = place('disk');
  {
    await using archived = await start(site);
    await create(archived, 'a.git', [ID]);
    for (const content of [LARGE, SMALL]) await send(site, content);
    await commit(archived, 'a.git', [LARGE, SMALL]);
    await create(archived, 'fork.git', [FORK, ID]);
    await commit(archived, 'fork.git', [LARGE]);
    await archived.archive.settle('default');
    assert.deepEqual(
      archivedFiles(site).map((file) => idOfFile(site, file)),
      [ID, ID],
    );
  }
  loseDisk(site);
  await using archived = await start(site);
  await archived.archive.settle('default');

  const results = await Array.fromAsync(archived.archive.restoreStorage('default', { signal }));

  assert.deepEqual(
    results.map(({ reason, result }) => [result, reason]),
    [
      ['restored', ''],
      ['restored', ''],
    ],
  );
  assert.ok((await received(site, LARGE)).equals(LARGE));
  assert.ok((await received(site, SMALL)).equals(SMALL));
  assert.ok((await received(site, LARGE, [FORK, ID])).equals(LARGE));
});

test('a kill between a commit and its archive loses no file', async () => {
  const site = place('killed');
  const bucket = pathToFileURL(join(site.path, 'bucket')).href;
  const contents = Array.from({ length: 8 }, () => randomBytes(1 << 20));
  {
    const config = `[lfs]\nurl = "${site.store}"\n`;
    await using gitaly = await startGitalyProcess({ directory: site.path, archive: bucket, config });
    const connection = await gitaly.connect();
    await create({ connection }, 'a.git', [ID]);
    for (const content of contents) await send(site, content);
    await commit({ connection }, 'a.git', contents);
    await until(() => archivedFiles(site).length > 0); // in the middle of the uploads
    gitaly.kill('SIGKILL');
    await gitaly.exited;
    await connection.close();
  }
  await using archived = await start(site);
  await archived.archive.settle('default');

  assert.deepEqual(
    archivedFiles(site)
      .map((file) => basename(file))
      .sort(),
    contents.map(oidOf).sort(),
  );
});

test('a file that comes after its commit is archived later; one that nobody has is named', async () => {
  const site = place('late');
  {
    await using archived = await start(site);
    await create(archived, 'a.git', [ID]);
    await commit(archived, 'a.git', [SMALL, LARGE]);
    await archived.archive.settle('default');
    assert.deepEqual(archivedFiles(site), []);
    await send(site, LARGE);
  }
  await using archived = await start(site); // what is pending survives a restart
  await archived.archive.settle('default');
  await archived.archive.prune('default');
  assert.equal(archivedFiles(site).length, 1);
  rmSync(join(site.path, 'lfs'), { recursive: true });
  mkdirSync(join(site.path, 'lfs'));

  const problem = await archived.archive.restore(
    { storage: 'default', path: 'a.git' },
    { to: 'b.git', signal },
  );

  assert.equal(problem, `a file of Git LFS could not be restored: ${oidOf(SMALL)}`);
  assert.ok((await received(site, LARGE)).equals(LARGE));
});

test('the files of a history are archived once the repository has an id', async () => {
  const site = place('history');
  await using archived = await start(site);
  await archived.connection.repository.createRepository({ repository: at('a.git') });
  await commit(archived, 'a.git', [SMALL]);
  await commit(archived, 'a.git', [LARGE]);
  await archived.archive.settle('default');
  for (const content of [LARGE, SMALL]) await send(site, content);

  await archived.connection.settings.setLfsIds({ repository: at('a.git'), ids: [ID] });
  await archived.archive.settle('default');

  assert.equal(archivedFiles(site).length, 2);
});

test('a damaged file in the bucket is found, and repaired; a missing one is added', async () => {
  const site = place('verify');
  await using archived = await start(site);
  await create(archived, 'a.git', [ID]);
  for (const content of [LARGE, SMALL]) await send(site, content);
  await commit(archived, 'a.git', [LARGE, SMALL]);
  await archived.archive.settle('default');
  const verify = () => Array.fromAsync(archived.archive.verify('default', { signal }));
  const [before] = await verify();
  assert.deepEqual(before?.problems, []);
  assert.ok((before?.bytes ?? 0) > LARGE.length);
  const file = (content: Buffer) => archivedFiles(site).find((path) => path.endsWith(oidOf(content))) ?? '';
  damage(file(LARGE));
  rmSync(file(SMALL));

  const [found] = await verify();
  const [again] = await verify();

  const problems = [
    `the file ${oidOf(LARGE)} of Git LFS is damaged`,
    `the file ${oidOf(SMALL)} of Git LFS was missing`,
  ];
  assert.deepEqual([found?.problems, found?.isRepaired], [problems, true]);
  assert.deepEqual(again?.problems, []);
  damage(file(SMALL));
  damage(
    join(site.path, 'lfs', ID, 'objects', oidOf(SMALL).slice(0, 2), oidOf(SMALL).slice(2, 4), oidOf(SMALL)),
  );
  const [unrepaired] = await verify();
  assert.deepEqual([unrepaired?.problems.length, unrepaired?.isRepaired], [1, false]);
});

test('a file that is damaged on the disk is a problem, and stops nothing else', async () => {
  const site = place('damaged');
  await using archived = await start(site);
  await create(archived, 'a.git', [ID]);
  for (const content of [LARGE, SMALL]) await send(site, content);
  const oid = oidOf(SMALL);
  damage(join(site.path, 'lfs', ID, 'objects', oid.slice(0, 2), oid.slice(2, 4), oid));
  await commit(archived, 'a.git', [SMALL, LARGE]);
  await archived.archive.settle('default');

  assert.deepEqual(
    archivedFiles(site).map((file) => file.endsWith(oidOf(LARGE))),
    [true],
  );
  assert.ok(
    archived.log.some((line) => /a file of Git LFS could not be archived: the bytes are not/.test(line)),
  );
  await archived.archive.restore({ storage: 'default', path: 'a.git' }, { to: 'b.git', signal });
  await send(site, SMALL);
  await archived.archive.prune('default');
  assert.equal(archivedFiles(site).length, 2);
});

test('files under ids that no repository of the archive names are deleted when they are old', async () => {
  const site = place('prune');
  await using archived = await start(site);
  await create(archived, 'a.git', [ID]);
  for (const id of [ID, 'gone']) await send(site, SMALL, id);
  await commit(archived, 'a.git', [SMALL]);
  await archived.archive.settle('default');
  await archived.connection.repository.removeRepository({ repository: at('a.git') });
  await archived.archive.settle('default');
  const url = pathToFileURL(join(site.path, 'bucket')).href;
  const bucket = await openArchiveBucket(url, { signal });
  const other = new LfsObjects(await openStore(`${url}?prefix=lfs/`), ['other']);
  await other.write(oidOf(SMALL), Readable.from([SMALL]), { sizeBytes: SMALL.length, signal });
  assert.equal(archivedFiles(site).length, 2);

  await pruneLfsFiles(bucket, signal);
  assert.equal(archivedFiles(site).length, 2);
  for (const file of archivedFiles(site)) utimesSync(file, 0, 0);
  await pruneLfsFiles(bucket, signal);

  // A removed repository that the archive keeps has its files.
  assert.deepEqual(
    archivedFiles(site).map((file) => idOfFile(site, file)),
    [ID],
  );
});
