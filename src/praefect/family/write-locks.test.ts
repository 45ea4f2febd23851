import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LimitRefusal } from '#base/limits/limit-refusal';
import { LinkedFamily } from '#testkit/servers/linked-family';
import { MemoryWriteLocks } from '../transactions/memory-write-locks.ts';
import type { WriteLock, WriteLocks } from '../transactions/write-locks.ts';
import { answerForWriteLocks, RemoteWriteLocks } from './write-locks.ts';

const repository = { virtualStorage: 'default', relativePath: 'a.git' };
const other = { ...repository, relativePath: 'b.git' };
const { signal: NEVER } = new AbortController();
/** More turns than the messages of a lock take. */
const TURNS = 20;

function start() {
  const own = new MemoryWriteLocks();
  const family = new LinkedFamily();
  answerForWriteLocks(family.supervisor.desk, own);
  const [first, second] = [family.start(), family.start()];
  return { own, first, one: new RemoteWriteLocks(first.link), two: new RemoteWriteLocks(second.link) };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await nextTurn();
}

test('writes of all processes get the lock of a repository in the order of their arrival', async () => {
  const { one, own, two } = start();
  const order: string[] = [];
  const write = async (name: string, locks: WriteLocks): Promise<void> => {
    const lock: WriteLock = await locks.lock(repository, 1n, NEVER);
    order.push(`${name} begins`);
    await turns();
    order.push(`${name} ends`);
    await lock.release();
  };

  const writes: Promise<void>[] = [];
  for (const [name, locks] of [
    ['a', one],
    ['b', own],
    ['c', two],
    ['d', one],
  ] as const) {
    writes.push(write(name, locks));
    await turns();
  }
  await Promise.all(writes);

  assert.deepEqual(
    order,
    ['a', 'b', 'c', 'd'].flatMap((name) => [`${name} begins`, `${name} ends`]),
  );
});

test('locks of other repositories are free', async () => {
  const { one, two } = start();

  await one.lock(repository, 1n, NEVER);

  await two.lock(other, 1n, NEVER);
});

test('the end of a worker gives its lock to the next write', async () => {
  const { first, one, own, two } = start();
  await one.lock(repository, 1n, NEVER);
  const next = two.lock(repository, 1n, NEVER);
  await turns();
  const last = own.lock(repository, 2n, NEVER);

  first.end();

  await (await next).release();
  await last;
});

test('an aborted wait is refused and leaves the lock to others', async () => {
  const { one, two } = start();
  const held = await one.lock(repository, 1n, NEVER);
  const aborting = new AbortController();
  const aborted = two.lock(repository, 1n, aborting.signal);
  await turns();

  aborting.abort();

  await assert.rejects(aborted, LimitRefusal);
  await held.release();
  await one.lock(repository, 2n, NEVER);
});

test('locks that fail for another reason than the end of the wait report that', async () => {
  const family = new LinkedFamily();
  const failing: WriteLocks = { lock: () => Promise.reject(new Error('the database is gone')) };
  answerForWriteLocks(family.supervisor.desk, failing);
  const locks = new RemoteWriteLocks(family.start().link);

  await assert.rejects(locks.lock(repository, 1n, NEVER), { message: /the database is gone/ });
});

test('writes of different references have locks at once, until one of them locks all', async () => {
  const { one, own, two } = start();
  const a = await one.lock(repository, 1n, NEVER, ['refs/heads/a']);
  const b = await two.lock(repository, 1n, NEVER, ['refs/heads/b']);
  let isWidened = false;
  const widening = a.widen?.(NEVER).then(() => {
    isWidened = true;
  });
  await turns();
  assert.equal(isWidened, false);

  await b.release();
  await widening;

  const next = own.lock(repository, 2n, NEVER, ['refs/heads/c']);
  await a.release();
  await (await next).release();
});

test('a lock whose wait for all references is aborted is free', async () => {
  const { one, own, two } = start();
  const a = await one.lock(repository, 1n, NEVER, ['refs/heads/a']);
  const b = await two.lock(repository, 1n, NEVER, ['refs/heads/b']);
  const aborting = new AbortController();
  const widening = a.widen?.(aborting.signal);
  await turns();

  aborting.abort();

  await assert.rejects(widening ?? Promise.resolve(), LimitRefusal);
  await b.release();
  await own.lock(repository, 2n, NEVER);
});
