import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { Chain } from './chain/chain.ts';
import type { ChainState } from './chain/chain-state.ts';
import type { ReadGeneration } from './codec/generation.ts';
import type { Mark } from './codec/small-records.ts';
import { type Clock, TIMES } from './environment.ts';
import { pinPacks, unpin } from './forks.ts';
import { pathKey, repositoryKeys } from './keys.ts';
import { OwnLease } from './leases/own-lease.ts';
import { WatchedLeases } from './leases/watched-leases.ts';
import { openBucket } from './open-bucket.ts';
import { Paths } from './paths.ts';
import type { LocalRepository } from './repository/local-repository.ts';
import { Maintenance } from './repository/maintenance.ts';
import { OwnedRepository } from './repository/owned-repository.ts';
import { MAX_INLINE_BYTES, Publisher } from './repository/publisher.ts';
import { systemRandom } from './system-environment.ts';

const directory = makeScratchDirectory('generations');
after(() => rmSync(directory, { recursive: true }));
const { signal } = new AbortController();
let buckets = 0;

/** A clock that the test moves. */
class MovedClock implements Clock {
  ms = 1_000_000;
  nowMs(): number {
    return this.ms;
  }
  wallMs(): number {
    return this.ms;
  }
  async sleep(ms: number): Promise<void> {
    this.ms += ms;
  }
}

/** A local repository that keeps references only. */
class References implements LocalRepository {
  readonly identity = { incarnation: 'i', server: 's', bootId: 'b', fileSystem: 'f' };
  readonly values = new Map<string, string>();
  #mark: Mark | undefined;

  async mark(): Promise<Mark | undefined> {
    return this.#mark;
  }
  async apply({ generation }: ReadGeneration, mark: Mark): Promise<void> {
    for (const { name, new: value } of generation.changes)
      if (value === undefined) this.values.delete(name);
      else this.values.set(name, value);
    this.#mark = mark;
  }
  async fill({ references }: ChainState, mark: Mark): Promise<void> {
    this.values.clear();
    for (const [name, value] of references) this.values.set(name, value);
    this.#mark = mark;
  }
  async drop(): Promise<void> {
    this.values.clear();
    this.#mark = undefined;
  }
  async equals({ references }: ChainState): Promise<boolean> {
    return JSON.stringify([...references].sort()) === JSON.stringify([...this.values].sort());
  }
}

async function newBucket() {
  const path = join(directory, String(buckets++));
  mkdirSync(path);
  const { bucket } = await openBucket(`file://${path}`, { random: systemRandom, signal });
  return { bucket, clock: new MovedClock(), random: systemRandom };
}

async function startServer(environment: Awaited<ReturnType<typeof newBucket>>, server: string, id = 'id') {
  const times = { ...TIMES, graceMs: 0 };
  const lease = new OwnLease({ ...environment, server, address: '', times });
  await lease.start();
  const local = new References();
  const chain = new Chain({ ...environment, times, keys: repositoryKeys(id) });
  const repository = new OwnedRepository({ chain, lease, local, leases: new WatchedLeases(environment) });
  const publisher = new Publisher(repository);
  const maintenance = new Maintenance(repository, async (packs) => Buffer.concat(packs));
  const write = (name: string, value: string, old?: string) =>
    publisher.publish({
      changes: [{ name, old, new: value }],
      newObjects: async () => ({ inline: Buffer.from(value) }),
    });
  return { lease, local, chain, repository, publisher, maintenance, write };
}

test('writes to a directory survive their server, and another one goes on', async () => {
  const environment = await newBucket();
  const one = await startServer(environment, 'one');
  await one.repository.create();
  await Promise.all(['a', 'b', 'c'].map((name) => one.write(name, `${name}1`)));
  await assert.rejects(one.write('a', 'a2', 'wrong'), { problem: 'old-value' });
  const other = await startServer(environment, 'other');
  await assert.rejects(other.repository.readCold(), { problem: 'not-owner' });
  assert.deepEqual(await other.repository.takeOver(), one.lease.owner);

  await one.lease.release();
  await assert.rejects(one.repository.requireReadable(), { problem: 'not-owner' });
  assert.deepEqual(await other.repository.takeOver(), other.lease.owner);
  await other.write('a', 'a2', 'a1');

  const { references } = await other.repository.requireReadable();
  assert.deepEqual(
    [...references],
    [
      ['a', 'a2'],
      ['b', 'b1'],
      ['c', 'c1'],
    ],
  );
  assert.deepEqual(other.local.values, references);
});

/** Returns the requests to a bucket from now on, as `METHOD key`. */
function requestsOf({ bucket }: Awaited<ReturnType<typeof newBucket>>): string[] {
  const requests: string[] = [];
  const [get, create] = [bucket.get.bind(bucket), bucket.create.bind(bucket)];
  bucket.get = async (key) => {
    requests.push(`GET ${key}`);
    return await get(key);
  };
  bucket.create = async (key, content) => {
    requests.push(`PUT ${key}`);
    return await create(key, content);
  };
  return requests;
}

test('a repository with a new id takes a request, and another one its first name', async () => {
  const environment = await newBucket();
  const one = await startServer(environment, 'one', 'new');
  const paths = new Paths(environment);
  const requests = requestsOf(environment);

  await one.repository.createUnused(1000);
  await paths.create('a.git', 'new');

  assert.deepEqual(requests.splice(0), [
    `PUT ${repositoryKeys('new').generation(1)}`,
    `PUT ${pathKey('a.git', 1)}`,
  ]);
  await one.write('a', '1');
  const { exists, references, timeMs } = (await one.chain.follow()).state;
  assert.deepEqual([exists, timeMs > 1000, [...references]], [true, true, [['a', '1']]]);
  const other = await startServer(environment, 'other', 'new');
  await assert.rejects(other.repository.createUnused(), { problem: 'exists' });
});

test('writes that wait share a generation, and a repeated request gets the first response', async () => {
  const { repository, publisher } = await startServer(await newBucket(), 'one');
  await repository.create();
  const request = { correlationId: 'c', hash: 'h', principal: 'p' };
  const create = { changes: [{ name: 'x', new: '1' }], request, newObjects: async () => ({}) };

  const change = (name: string) => ({ changes: [{ name, new: name }], newObjects: async () => ({}) });
  const numbers = await Promise.all(['a', 'b', 'c', 'd'].map((name) => publisher.publish(change(name))));
  const [first, atOnce] = await Promise.all([publisher.publish(create), publisher.publish(create)]);
  const again = await publisher.publish(create);

  assert.deepEqual(numbers, [2, 2, 2, 2]);
  assert.deepEqual([first, atOnce, again], [3, 3, 3]);
  const large = async () => ({ inline: Buffer.alloc(MAX_INLINE_BYTES + 1) });
  await assert.rejects(publisher.publish({ changes: [], newObjects: large }), RangeError);
  const other = { ...create, request: { ...request, hash: 'other' } };
  await assert.rejects(publisher.publish(other), { problem: 'exists' });
});

// git reads one pack, and reports no error if another one follows.
test('a generation has one inline pack, also if several writes wait', async () => {
  const { chain, repository, publisher, write } = await startServer(await newBucket(), 'one');
  await repository.create();
  const plain = { changes: [{ name: 'plain', new: '1' }], newObjects: async () => ({}) };

  const numbers = await Promise.all([write('a', 'pack a'), publisher.publish(plain), write('b', 'pack b')]);

  assert.deepEqual(numbers, [2, 2, 3]);
  const packs = await Promise.all([2, 3].map(async (n) => (await chain.generation(n))?.inline.toString()));
  assert.deepEqual(packs, ['pack a', 'pack b']);
});

test('changes that are too large for a generation are an object that is deleted with it', async () => {
  const { repository, publisher, maintenance, chain, lease, write } = await startServer(
    await newBucket(),
    'one',
  );
  await repository.create();
  const changes = Array.from({ length: 5000 }, (_, index) => ({
    name: `refs/heads/${index}`,
    new: '1'.repeat(40),
  }));

  await publisher.publish({ changes, newObjects: async () => ({ inline: Buffer.from('1') }) });
  await write('last', '2');

  assert.equal(repository.state?.references.size, 5001);
  assert.equal((await chain.follow()).state.references.size, 5001);
  assert.equal(await maintenance.checkpoint(), 3);
  await lease.renew();
  assert.equal(await maintenance.collect(), 2);
  assert.equal((await chain.follow()).state.references.size, 5001);
});

test('the collector leaves packs that a fork has pinned', async () => {
  const { repository, maintenance, chain, lease, write } = await startServer(await newBucket(), 'one');
  await repository.create();
  await write('a', '1');
  await maintenance.checkpoint();
  const [pack = ''] = repository.state?.packs ?? [];
  const { packs } = await pinPacks(chain, 'fork');
  assert.deepEqual([...packs], [pack]);
  const repack = async () => ({ add: [await chain.uploadPack(Buffer.from('1'))], remove: [pack] });
  assert.equal(await maintenance.repack(repack), true);
  let collections = 0;
  const collect = async (): Promise<boolean> => {
    await write(`b${collections++}`, '1');
    await maintenance.checkpoint();
    await lease.renew();
    await maintenance.collect();
    return (await chain.options.bucket.get(chain.options.keys.pack(pack))) !== undefined;
  };

  assert.equal(await collect(), true);
  await unpin(chain, 'fork');
  assert.equal(await collect(), false);
});

test('a path names one repository; an interrupted rename counts once the old path has moved', async () => {
  const environment = await newBucket();
  const paths = new Paths(environment);
  await paths.create('a/x.git', '1');
  await assert.rejects(paths.create('a/x.git', '2'), { problem: 'exists' });

  await paths.move('a/x.git', 'b.git', '1');
  assert.deepEqual([await paths.resolve('a/x.git'), await paths.resolve('b.git')], [undefined, '1']);
  await paths.create('a/x.git', '2');
  assert.deepEqual([await paths.resolve('a/x.git'), await paths.resolve('b.git')], ['2', '1']);

  // The server is killed after the record at the new path.
  const interrupted = new Paths({
    ...environment,
    bucket: {
      get: (key) => environment.bucket.get(key),
      list: (prefix) => environment.bucket.list(prefix),
      create: async (key, content) => {
        if (key.startsWith('path/b.git/')) throw new Error('killed');
        return await environment.bucket.create(key, content);
      },
      replace: (key, content, version) => environment.bucket.replace(key, content, version),
      delete: (keys) => environment.bucket.delete(keys),
    },
  });
  await assert.rejects(interrupted.move('b.git', 'c.git', '1'), { problem: 'unknown' });
  assert.deepEqual([await paths.resolve('b.git'), await paths.resolve('c.git')], ['1', undefined]);
  await paths.move('b.git', 'c.git', '1');
  assert.deepEqual([await paths.resolve('b.git'), await paths.resolve('c.git')], [undefined, '1']);

  await paths.remove('c.git', '1');
  assert.equal(await paths.resolve('c.git'), undefined);
  await assert.rejects(paths.remove('c.git', '1'), { problem: 'missing' });
  for (let count = 0; count < 9; count++) {
    await paths.create('c.git', `later ${count}`);
    assert.equal(await paths.resolve('c.git'), `later ${count}`);
    await paths.remove('c.git', `later ${count}`);
  }
});
