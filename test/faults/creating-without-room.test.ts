import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { commitFiles } from '#testkit/repositories/commit-files';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitHttpServer } from '#testkit/servers/git-http-server';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const STORAGE_BYTES = 24 * 1024 ** 2;
/** Free space: enough to begin with, less than the repository needs. */
const ROOM_BYTES = 1024 ** 2;
const CONTENT_BYTES = 2 * 1024 ** 2;
const CODES = ['INTERNAL', 'RESOURCE_EXHAUSTED', 'UNAVAILABLE'];

const source = { storageName: 'default', relativePath: 'source.git' };
const origin = { storageName: 'small', relativePath: 'origin.git' };
const target = { storageName: 'small', relativePath: 'group/target.git' };
const pool = { storageName: 'small', relativePath: `@pools/aa/bb/aabb${'0'.repeat(60)}.git` };
const vanityRepository = { storageName: 'default', relativePath: 'source.git' };

/** Mounts a small file system, or returns the reason why it cannot. */
function mountSmall(directory: string): string | undefined {
  const options = ['-t', 'tmpfs', '-o', `size=${STORAGE_BYTES}`, 'tmpfs', directory];
  const { status, stderr, error } = spawnSync('mount', options);
  return status === 0 ? undefined : `cannot mount a tmpfs: ${error?.message ?? stderr.toString().trim()}`;
}

function whyNot(): string | false {
  const directory = makeScratchDirectory('mount');
  try {
    const reason = mountSmall(directory);
    if (reason === undefined) spawnSync('umount', [directory]);
    return reason ?? false;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

interface Scene extends AsyncDisposable {
  readonly gitaly: TestGitaly;
  /** Directory of the small storage. */
  readonly small: string;
  /** Address of the repository and of its snapshot. */
  readonly url: string;
  readonly snapshotUrl: string;
  readonly bundle: Buffer;
  readonly metadata: Readonly<Record<string, string>>;
}

async function startScene(): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  let small = '';
  const config = (directory: string) => {
    small = join(directory, 'small');
    mountSmall(small);
    mkdirSync(join(directory, 'backups'));
    return { backup: { go_cloud_url: `file://${directory}/backups` } };
  };
  const gitaly = stack.use(await startGitaly({ storages: ['default', 'small'], config }));
  stack.defer(() => void spawnSync('umount', ['-l', small]));
  const path = initServed(gitaly, source.relativePath);
  commitFiles(path, { file: randomFillSync(Buffer.alloc(CONTENT_BYTES)) });
  gitOutput(gitaly.storagePath(), ['clone', '-q', '--bare', path, join(small, origin.relativePath)]);
  const { repository } = gitaly.connection;
  await repository.backupRepository({ repository: source, vanityRepository, backupId: 'one' });
  const bundle: Uint8Array[] = [];
  for await (const { data } of repository.createBundle({ repository: source })) bundle.push(data);
  const snapshot: Uint8Array[] = [];
  for await (const { data } of repository.getSnapshot({ repository: source })) snapshot.push(data);
  const web = stack.use(await startGitHttpServer(gitaly.storagePath()));
  web.reset({ 'snapshot.tar': Buffer.concat(snapshot) });
  const servers = Object.fromEntries(
    ['default', 'small'].map((name) => [name, { address: gitaly.address, token: '' }]),
  );
  const owned = stack.move();
  return {
    gitaly,
    small,
    url: `${web.url}/r/source.git`,
    snapshotUrl: `${web.url}/files/snapshot.tar`,
    bundle: Buffer.concat(bundle),
    metadata: { 'gitaly-servers': Buffer.from(JSON.stringify(servers)).toString('base64') },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The calls that create a repository with the content of the source. */
const CREATORS: Readonly<Record<string, (scene: Scene) => PromiseLike<unknown>>> = {
  CreateFork: ({ gitaly, metadata }) =>
    gitaly.connection.repository.createFork({ repository: target, sourceRepository: source }, { metadata }),
  CreateRepositoryFromURL: ({ gitaly, url }) =>
    gitaly.connection.repository.createRepositoryFromURL({ repository: target, url }),
  CreateRepositoryFromBundle: ({ gitaly, bundle }) =>
    gitaly.connection.repository.createRepositoryFromBundle([{ repository: target, data: bundle }]),
  CreateRepositoryFromSnapshot: ({ gitaly, snapshotUrl }) =>
    gitaly.connection.repository.createRepositoryFromSnapshot({ repository: target, httpUrl: snapshotUrl }),
  ReplicateRepository: ({ gitaly, metadata }) =>
    gitaly.connection.repository.replicateRepository({ repository: target, source }, { metadata }),
  RestoreRepository: ({ gitaly }) =>
    gitaly.connection.repository.restoreRepository({ repository: target, vanityRepository, backupId: 'one' }),
  CreateObjectPool: ({ gitaly }) =>
    gitaly.connection.objectPool.createObjectPool({ objectPool: { repository: pool }, origin }),
};

/** Ways in which a storage cannot take a repository, each with its remedy. */
const TROUBLES: Readonly<Record<string, (directory: string) => () => void>> = {
  full(directory) {
    const { bavail, bsize } = statfsSync(directory);
    const filler = join(directory, 'filler');
    appendFileSync(filler, Buffer.alloc(bavail * bsize - ROOM_BYTES));
    return () => rmSync(filler);
  },
  'read-only'(directory) {
    spawnSync('mount', ['-o', 'remount,ro', directory]);
    return () => void spawnSync('mount', ['-o', 'remount,rw', directory]);
  },
};

for (const [trouble, cause] of Object.entries(TROUBLES))
  test(`on a storage that is ${trouble} nothing is created, and later everything`, {
    skip: whyNot(),
  }, async (context) => {
    await using scene = await startScene();
    const { small } = scene;
    const created = (name: string) =>
      join(small, name === 'CreateObjectPool' ? pool.relativePath : target.relativePath);
    const remedy = cause(small);
    for (const [name, create] of Object.entries(CREATORS)) {
      // A pool in the storage of its origin gets links to the same files.
      if (trouble === 'full' && name === 'CreateObjectPool') continue;
      const error = await Promise.resolve(create(scene)).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      context.diagnostic(`${name}: ${String(error)}`);
      assert.ok(error instanceof Error && 'code' in error && CODES.includes(String(error.code)), name);
      assert.equal(existsSync(created(name)), false, name);
      assert.deepEqual(leftIn(small), [], name);
    }
    remedy();

    for (const [name, create] of Object.entries(CREATORS)) {
      await create(scene);
      gitOutput(created(name), ['fsck', '--strict']);
      assert.equal(gitOutput(created(name), ['rev-list', '--count', 'main']), '1', name);
      rmSync(created(name), { recursive: true });
    }
    assert.deepEqual(leftIn(small), []);
  });

function leftIn(storage: string): string[] {
  const temp = join(storage, '+gitaly/tmp');
  return existsSync(temp) ? readdirSync(temp) : [];
}
