import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { garbageCollector } from '#base/memory/garbage-collector';
import { processIdsIn } from '#testkit/measure/process-usage';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { runGit } from '#testkit/repositories/run-git';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { until } from '#testkit/until';
import { Lookup } from './lookup.ts';

/** A revision that is not resolved in process. */
const FOR_GIT = 'main~0';

/** Moves the clock of this process forward. */
function advance(context: TestContext, byMs: number): void {
  const now = performance.now.bind(performance);
  context.mock.method(performance, 'now', () => now() + byMs);
}

test('no more than four times the budget of processes run at once', async () => {
  await using storage = await StorageFixture.create();
  const { path } = storage.init('x.git', { commits: 1 });
  await using git = await GitFixture.start({ catFileProcesses: 2 });
  const repository = git.open(path);
  const pool = git.caches.catFiles;
  const { signal } = new AbortController();

  const borrowed = Array.from({ length: 8 }, () => pool.borrow(repository, signal));

  assert.equal(pool.counts.running, 8);
  assert.throws(() => pool.borrow(repository, signal), {
    code: 'RESOURCE_EXHAUSTED',
    message: 'too many processes are reading objects',
  });
  await assert.rejects(repository.objects.info(FOR_GIT), { code: 'RESOURCE_EXHAUSTED' });
  await borrowed[0]?.[Symbol.asyncDispose]();
  assert.equal((await repository.objects.info(FOR_GIT))?.type, 'commit');
  await Promise.all(borrowed.map((run) => run[Symbol.asyncDispose]()));
  assert.equal(pool.counts.started, 9);
});

test('a process that was killed does not take the place of one that runs', async () => {
  await using storage = await StorageFixture.create();
  await using git = await GitFixture.start({ catFileProcesses: 2 });
  const pool = git.caches.catFiles;
  const read = async (name: string): Promise<void> => {
    const { path } = storage.init(name, { commits: 1 });
    assert.equal((await git.open(path).objects.info(FOR_GIT))?.type, 'commit');
  };
  await read('killed.git');
  for (const pid of processIdsIn(storage.root)) process.kill(pid, 'SIGKILL');
  await until(() => pool.counts.running === 0);

  for (const name of ['a.git', 'b.git', 'c.git']) await read(name);

  await until(() => pool.counts.running === 2, 'an idle one ends');
});

test('four lookups of a repository have a process of their own at once, and others wait', async () => {
  await using storage = await StorageFixture.create();
  const { path } = storage.init('x.git', { commits: 1 });
  await using git = await GitFixture.start({ catFileProcesses: 100 });
  const repository = git.open(path);
  const pool = git.caches.catFiles;
  const lookups = Array.from({ length: 12 }, () => new Lookup('info', Buffer.from(FOR_GIT), 0));

  for (const lookup of lookups) pool.submitAlone(repository, lookup);
  const left = lookups.slice(4, 8);
  for (const lookup of left) lookup.reject(new Error('left'));

  assert.equal(pool.counts.running, 4);
  for (const lookup of left) await assert.rejects(lookup.answer, { message: 'left' });
  const others = lookups.filter((lookup) => !left.includes(lookup));
  for (const lookup of others) assert.equal((await lookup.answer)?.type, 'commit');
  assert.equal(pool.counts.started, others.length);
  await until(() => pool.counts.running === 0);
});

// Each stayed in memory as long as no lookup was shared, which is seldom with reads in process.
test('a repository whose lookups all had processes of their own is forgotten when it is idle', async () => {
  await using storage = await StorageFixture.create();
  const { path } = storage.init('x.git', { commits: 1 });
  await using git = await GitFixture.start({ catFileIdleMs: 1 });
  const lookUp = async (): Promise<WeakRef<object>> => {
    const repository = git.open(path);
    const lookup = new Lookup('info', Buffer.from(FOR_GIT), 0);
    git.caches.catFiles.submitAlone(repository, lookup);
    await lookup.answer;
    return new WeakRef(repository);
  };

  const repository = await lookUp();

  const collectGarbage = garbageCollector();
  await until(() => {
    collectGarbage({ type: 'major', flavor: 'last-resort' });
    return repository.deref() === undefined;
  });
});

for (const { what, ageMs, started } of [
  { what: 'serves again before it is five minutes old', ageMs: 4 * 60_000, started: 1 },
  { what: 'is replaced at the age of five minutes', ageMs: 5 * 60_000, started: 2 },
]) {
  test(`a process ${what}`, async (context) => {
    await using storage = await StorageFixture.create();
    const { path } = storage.init('x.git', { commits: 1 });
    // It must not end by being idle.
    await using git = await GitFixture.start({ catFileIdleMs: Number.MAX_SAFE_INTEGER });
    const repository = git.open(path);
    await repository.objects.info(FOR_GIT);

    advance(context, ageMs);
    await repository.objects.info(FOR_GIT);

    assert.equal(git.caches.catFiles.counts.started, started);
    await until(() => git.caches.catFiles.counts.running === 1);
  });
}

test('an idle process ends, and the next lookup starts another', async (context) => {
  await using storage = await StorageFixture.create();
  const { path } = storage.init('x.git', { commits: 1 });
  await using git = await GitFixture.start({ catFileIdleMs: 60_000 });
  const repository = git.open(path);
  await repository.objects.info(FOR_GIT);

  advance(context, 60_001);

  await until(() => git.caches.catFiles.counts.running === 0);
  assert.equal((await repository.objects.info(FOR_GIT))?.type, 'commit');
  assert.equal(git.caches.catFiles.counts.started, 2);
});

test('the processes of a removed repository end, and those of others go on', async () => {
  await using fixture = await StorageFixture.create();
  const [gone, other] = [
    fixture.init('gone.git', { commits: 1 }),
    fixture.init('other.git', { commits: 1 }),
  ] as const;
  for (const repository of [gone, other]) await repository.objects.info(FOR_GIT);
  const pool = fixture.caches.catFiles;
  assert.equal(pool.counts.running, 2);

  fixture.caches.forget(gone);

  await until(() => pool.counts.running === 1);
  await other.objects.info(FOR_GIT);
  assert.equal(pool.counts.started, 2);
});

test('the process of released object directories ends, and that of the repository goes on', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const objectDirectory = `${fixture.root}/second/objects`;
  mkdirSync(objectDirectory);
  const quarantined = repository.withObjectDirectories({
    objectDirectory,
    alternateObjectDirectories: [repository.objectDirectory],
  });
  for (const each of [repository, quarantined]) await each.objects.info(FOR_GIT);
  const pool = fixture.caches.catFiles;
  assert.equal(pool.counts.running, 2);

  fixture.caches.release(quarantined);

  await until(() => pool.counts.running === 1);
  await repository.objects.info(FOR_GIT);
  assert.equal(pool.counts.started, 2);
});

test('a lookup whose slot is dropped while it waits is answered, and its process ends', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });

  const info = repository.objects.info(FOR_GIT);
  fixture.caches.forget(repository);

  assert.equal((await info)?.type, 'commit');
  await until(() => fixture.caches.catFiles.counts.running === 0);
});

for (const { what, ended } of [
  { what: 'just now', ended: false },
  { what: 'before', ended: true },
])
  test(`a big object is read although the process that waited for it was killed ${what}`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { commits: 1 });
    const { counts } = fixture.caches.catFiles;
    const data = randomBytes(1 << 20);
    const oid = await runGit(['hash-object', '-w', '--stdin'], { cwd: repository.path, input: data });
    const read = async (): Promise<Buffer> =>
      Buffer.concat(await Array.fromAsync((await repository.objects.openObject(oid))?.stream ?? []));
    assert.deepEqual(await read(), data);
    assert.deepEqual([counts.running, counts.started], [1, 1]);

    for (const pid of processIdsIn(repository.path)) process.kill(pid, 'SIGKILL');
    if (ended) await until(() => counts.running === 0);

    for (let round = 0; round < 2; round++) assert.deepEqual(await read(), data);
    assert.equal(counts.started, 2);
  });

/** Writes a loose blob that has more bytes than it says. */
function writeLongBlob(path: string, content: string, size = 5): string {
  const data = Buffer.from(`blob ${size}\0${content}`);
  const oid = createHash('sha1').update(data).digest('hex');
  const file = join(path, 'objects', oid.slice(0, 2), oid.slice(2));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, deflateSync(data));
  return oid;
}

// Symptom: the server kept what git printed in memory, and ended at the next request.
for (const tail of ['x', '\n', '\0'])
  test(`a blob that is longer than it says harms no other request: ${JSON.stringify(tail)}`, async () => {
    await using fixture = await StorageFixture.create();
    const { path, objects } = fixture.init('x.git', { commits: 1 });
    const oid = writeLongBlob(path, `first${tail.repeat(2 << 20)}`);

    for (let round = 0; round < 3; round++) {
      const [blob, ...others] = await Promise.all([
        objects.openObject(oid),
        ...Array.from({ length: 5 }, () => objects.info(FOR_GIT)),
      ]);

      assert.equal(blob?.size, 5);
      assert.deepEqual(
        others.map((found) => found?.type),
        new Array(5).fill('commit'),
      );
    }
    await until(() => fixture.caches.catFiles.counts.running <= 1);
  });

test('a big blob that is longer than it says ends in time, and its process with it', async () => {
  await using fixture = await StorageFixture.create();
  const { path, objects } = fixture.init('x.git', { commits: 1 });
  const size = 1 << 20;
  const oid = writeLongBlob(path, 'x'.repeat(3 * size), size);

  for (let round = 1; round <= 2; round++) {
    const blob = await objects.openObject(oid);

    assert.equal(Buffer.concat(await Array.fromAsync(blob?.stream ?? [])).length, size);
    assert.equal(fixture.caches.catFiles.counts.started, round);
  }
  await until(() => fixture.caches.catFiles.counts.running === 0);
});
