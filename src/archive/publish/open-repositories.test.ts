import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { openArchiveBucket } from '../bucket/archive-bucket.ts';
import { WriterLease } from '../bucket/writer-lease.ts';
import type { ArchivedRepository } from './archived-repository.ts';
import { OpenRepositories } from './open-repositories.ts';

const directory = makeScratchDirectory('open-repositories');
after(() => rmSync(directory, { recursive: true }));

/** References of a state that takes half of the memory of all. */
const MANY = 20_000;

// Only every 64th use was counted: 63 repositories with very many references stayed in memory.
test('few repositories with very many references do not all stay open', async () => {
  const ended = new AbortController();
  const { signal } = ended;
  const bucket = await openArchiveBucket(pathToFileURL(join(directory, 'bucket')).href, { signal });
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start();
  await using fixture = await StorageFixture.create();
  const repositories = new OpenRepositories({ bucket, writer });
  const changes = new Map(Array.from({ length: MANY }, (_, index) => [`refs/x/${index}`, 'ref: refs/x/y']));

  for (const name of ['a.git', 'b.git', 'c.git', 'd.git']) {
    const archived = await repositories.create(name, Date.now());
    const repository = fixture.init(name);
    await archived.publish({ repository, changes, settings: {}, timeMs: Date.now(), signal });
    await repositories.name(name, archived);
  }

  assert.ok(repositories.size < 4, `${repositories.size} are open`);
  const first = await repositories.get('a.git');
  assert.equal((await first?.head())?.references.size, MANY);
  ended.abort();
});

test('a repository that is moved while it is opened is not open at its former path', async () => {
  const ended = new AbortController();
  const { signal } = ended;
  const url = pathToFileURL(join(directory, 'moved')).href;
  const bucket = await openArchiveBucket(url, { signal });
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start();
  const repositories = new OpenRepositories({ bucket, writer });
  const archived = await repositories.create('a.git', Date.now());
  await repositories.name('a.git', archived);
  repositories.forget('a.git');
  const [begun, moved] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { bucket: objects } = bucket.environment;
  const get = objects.get.bind(objects);
  objects.get = async (key) => {
    if (key === archived.owned.options.chain.options.keys.floor) {
      begun.resolve();
      await moved.promise;
    }
    return await get(key);
  };

  const opening = repositories.get('a.git');
  await begun.promise;
  await repositories.move('a.git', 'b.git', archived);
  moved.resolve();
  await opening;

  assert.equal(await repositories.get('a.git'), undefined);
  assert.equal((await repositories.get('b.git'))?.id, archived.id);
  ended.abort();
});

test('a creation that was interrupted is continued, and one that came too late is given up', async () => {
  const ended = new AbortController();
  const url = pathToFileURL(join(directory, 'interrupted')).href;
  const bucket = await openArchiveBucket(url, { signal: ended.signal });
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start();
  const repositories = new OpenRepositories({ bucket, writer });
  const isGivenUp = async ({ owned }: ArchivedRepository): Promise<boolean> =>
    (await bucket.environment.bucket.get(owned.options.chain.options.keys.givenUp)) !== undefined;

  const first = await repositories.create('a.git', Date.now());
  assert.equal(await repositories.create('a.git', Date.now()), first);
  await repositories.name('a.git', first);
  assert.equal(await isGivenUp(first), false);
  const second = await repositories.create('a.git', Date.now());
  assert.notEqual(second, first);

  await assert.rejects(repositories.name('a.git', second), { problem: 'exists' });
  assert.equal(await isGivenUp(second), true);
  assert.equal(await repositories.get('a.git'), first);
  ended.abort();
});

// All of a large repository was uploaded again.
test('a repository that gets no name at once is continued, until the path has one', async () => {
  const ended = new AbortController();
  const url = pathToFileURL(join(directory, 'unnamed')).href;
  const bucket = await openArchiveBucket(url, { signal: ended.signal });
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start();
  const repositories = new OpenRepositories({ bucket, writer });
  const { bucket: objects } = bucket.environment;
  const create = objects.create.bind(objects);
  const first = await repositories.create('a.git', Date.now());
  objects.create = () => Promise.reject(new Error('the bucket is away'));
  await assert.rejects(repositories.name('a.git', first), { problem: 'unknown' });

  assert.equal(await repositories.create('a.git', Date.now()), first);
  objects.create = async (...args) => {
    await create(...args);
    throw new Error('the response is lost');
  };
  await repositories.name('a.git', first);
  objects.create = create;

  assert.equal(await repositories.get('a.git'), first);
  await repositories.remove('a.git', first, Date.now());
  assert.notEqual(await repositories.create('a.git', Date.now()), first);
  ended.abort();
});

test('a repository that is only opened, again and again, has few generations to read', async () => {
  const ended = new AbortController();
  const url = pathToFileURL(join(directory, 'opened')).href;
  const bucket = await openArchiveBucket(url, { signal: ended.signal });
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start();
  const repositories = new OpenRepositories({ bucket, writer });
  await repositories.name('a.git', await repositories.create('a.git', Date.now()));
  let longest = 0;

  for (let count = 0; count < 300; count++) {
    repositories.forget('a.git');
    const { checkpoint = 0, n = 0 } = (await repositories.get('a.git'))?.owned.state ?? {};
    longest = Math.max(longest, n - checkpoint);
  }

  assert.ok(longest < 260, `${longest} generations`);
  ended.abort();
});
