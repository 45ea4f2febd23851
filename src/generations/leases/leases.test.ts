import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import { type Clock, TIMES } from '../environment.ts';
import { StoreBucket } from '../store-bucket.ts';
import { systemRandom } from '../system-environment.ts';
import { OwnLease } from './own-lease.ts';
import { WatchedLeases } from './watched-leases.ts';

const { signal } = new AbortController();

/** A clock that moves when it is waited for; `onSleep` runs before. */
class SteppedClock implements Clock {
  ms = 1_000_000;
  sleeps = 0;
  onSleep: () => Promise<void> = async () => {};
  nowMs(): number {
    return this.ms;
  }
  wallMs(): number {
    return this.ms;
  }
  async sleep(ms: number): Promise<void> {
    this.sleeps++;
    await this.onSleep();
    this.ms += ms;
  }
}

function start() {
  const clock = new SteppedClock();
  const environment = {
    bucket: new StoreBucket(new MemoryObjectStore(), { signal }),
    clock,
    random: systemRandom,
  };
  const lease = () => new OwnLease({ ...environment, server: 'a', address: 'a:1', times: TIMES });
  return { clock, lease, watched: new WatchedLeases(environment) };
}

test('a second process with the name of a server waits until the first one has ended', async () => {
  const { clock, lease } = start();
  const [first, second] = [lease(), lease()];
  await first.start({ predecessorEnded: false });
  let renewals = 5;
  clock.onSleep = async () => {
    if (renewals-- > 0) await first.renew();
  };

  await second.start({ predecessorEnded: false });

  // It saw five renewals, and then no change for 1.5 of the TTL.
  assert.ok(clock.sleeps >= 5 + (1.5 * TIMES.ttlMs) / TIMES.renewMs, String(clock.sleeps));
  assert.deepEqual([first.owner.epoch, second.owner.epoch], [1, 2]);
  assert.equal(first.isFresh(), false);
  await first.renew();
  assert.deepEqual([first.state, first.isOwner({ server: 'a', epoch: 1 })], ['lost', false]);
});

test('a lease is dead after 1.5 of its TTL without a change, and its owner takes a new epoch', async () => {
  const { clock, lease, watched } = start();
  const owned = lease();
  await owned.start({ predecessorEnded: true });
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

test('a lease that was renewed after all is not ended', async () => {
  const { clock, lease, watched } = start();
  const owned = lease();
  await owned.start({ predecessorEnded: true });
  await watched.isDead(owned.owner);
  clock.ms += 2 * TIMES.ttlMs;
  assert.equal(await watched.isDead(owned.owner), true);

  await owned.renew();

  assert.equal(await watched.end(owned.owner), false);
  assert.equal(owned.isFresh(), true);
});
