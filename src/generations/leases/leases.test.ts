import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import { type Clock, TIMES } from '../environment.ts';
import { StoreBucket } from '../store-bucket.ts';
import { systemRandom } from '../system-environment.ts';
import { OwnLease } from './own-lease.ts';
import { WatchedLeases } from './watched-leases.ts';

const { signal } = new AbortController();

/** A clock that moves when it is waited for. */
class SteppedClock implements Clock {
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

/** A bucket whose responses may take a time. */
class SlowBucket extends StoreBucket {
  responseMs = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    super(new MemoryObjectStore(), { signal });
    this.#clock = clock;
  }

  override async get(key: string) {
    const object = await super.get(key);
    await this.#clock.sleep(this.responseMs);
    return object;
  }
}

function start() {
  const clock = new SteppedClock();
  const bucket = new SlowBucket(clock);
  const environment = { bucket, clock, random: systemRandom };
  const lease = () => new OwnLease({ ...environment, server: 'a', address: 'a:1', times: TIMES });
  return { bucket, clock, lease, watched: new WatchedLeases(environment) };
}

test('a second process with the name of a server takes its lease in a new epoch', async () => {
  const { lease } = start();
  const [first, second] = [lease(), lease()];
  await first.start();

  await second.start();

  assert.deepEqual([first.owner.epoch, second.owner.epoch], [1, 2]);
  await first.renew();
  assert.deepEqual([first.state, first.isOwner({ server: 'a', epoch: 1 })], ['lost', false]);
});

test('a lease is dead after 1.5 of its TTL without a change, and its owner takes a new epoch', async () => {
  const { clock, lease, watched } = start();
  const owned = lease();
  await owned.start();
  const { owner } = owned;

  assert.equal(await watched.isDead(owner), false);
  clock.ms += 1.5 * TIMES.ttlMs - 1;
  assert.equal(await watched.isDead(owner), false);
  assert.equal(owned.isFresh(), false);
  clock.ms += 1;
  assert.equal(await watched.isDead(owner), true);
  assert.equal(await watched.end(owner), true);
  await owned.renew();

  assert.deepEqual([owned.state, owned.owner.epoch, owned.isOwner(owner)], ['live', 2, false]);
  assert.equal(await watched.isDead(owner), true);
});

// The owner may have renewed it while the request was on its way.
test('the time without a change begins with the response that shows the lease first', async () => {
  const { bucket, clock, lease, watched } = start();
  const owned = lease();
  await owned.start();
  bucket.responseMs = 5000;
  assert.equal(await watched.isDead(owned.owner), false);

  bucket.responseMs = 0;
  clock.ms += 1.5 * TIMES.ttlMs - 1;
  assert.equal(await watched.isDead(owned.owner), false);
  clock.ms += 1;
  assert.equal(await watched.isDead(owned.owner), true);
});

test('a lease that was renewed after all is not ended', async () => {
  const { clock, lease, watched } = start();
  const owned = lease();
  await owned.start();
  await watched.isDead(owned.owner);
  clock.ms += 2 * TIMES.ttlMs;
  assert.equal(await watched.isDead(owned.owner), true);

  await owned.renew();

  assert.equal(await watched.end(owned.owner), false);
  assert.equal(owned.isFresh(), true);
});
