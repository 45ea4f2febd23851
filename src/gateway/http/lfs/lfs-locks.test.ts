import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Limit } from '#base/limits/limit';
import { openStore } from '#object-store/open-store';
import { PrefixedStore } from '#object-store/prefixed-store';
import { PreconditionError } from '#object-store/store-error';
import { LfsLocks } from './lfs-locks.ts';

const { signal } = new AbortController();
const turns = () => new Limit<string>({ capacityPerOwner: 1 });
const USERS = 30;

/** A store that refuses the repetition of each first put, whose response was lost. */
class LossyStore extends PrefixedStore {
  #isLost = false;

  override async put(...args: Parameters<PrefixedStore['put']>): Promise<string> {
    const version = await super.put(...args);
    this.#isLost = !this.#isLost;
    if (this.#isLost) throw new PreconditionError(args[0]);
    return version;
  }
}

// Born failing: the one who had created a lock got it as that of somebody else.
test('a lock is created and removed although the response of the bucket is lost', async () => {
  const locks = new LfsLocks(new LossyStore(await openStore('mem://'), ''), 'id', turns());

  const { lock, isNew } = await locks.lock('film.mp4', 'ann', signal);
  assert.deepEqual([isNew, await locks.list(signal)], [true, [lock]]);
  assert.equal((await locks.lock('film.mp4', 'bob', signal)).isNew, false);

  await locks.lock('even', 'ann', signal); // its response arrives: that of the next one is lost
  assert.deepEqual(await locks.unlock(lock.id, { isForced: false, owner: 'ann' }, signal), lock);
  await assert.rejects(locks.unlock(lock.id, { isForced: false, owner: 'ann' }, signal), {
    code: 'NOT_FOUND',
  });
});

// Symptom: of 30 users who locked files of a repository in a bucket at once, 20 got an error.
test('many users lock files at once', async () => {
  const store = await openStore('mem://');
  const shared = turns();
  const names = Array.from({ length: USERS }, (_, number) => `${number}.mp4`).sort();

  const locks = names.map((name) => new LfsLocks(store, 'id', shared).lock(name, 'ann', signal));
  await Promise.all(locks);

  const listed = await new LfsLocks(store, 'id', shared).list(signal);
  assert.deepEqual(
    listed.map(({ path }) => path),
    names,
  );
});
