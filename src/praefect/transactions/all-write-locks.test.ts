import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { movedClock } from '#testkit/praefect/moved-clock';
import { AllWriteLocks } from './all-write-locks.ts';
import type { WriteLocks } from './write-locks.ts';

const { signal } = new AbortController();
const repository = { virtualStorage: 'default', relativePath: 'x.git' };

/** Locks that record their operations, an iteration later. @param fails the one that fails */
function noted(name: string, events: string[], fails = ''): WriteLocks {
  const note = async (operation: string): Promise<void> => {
    await turn();
    events.push(`${name} ${operation}`);
    if (operation === fails) throw new Error(`no ${operation}`);
  };
  return {
    lock: async () => {
      await note('lock');
      return { renew: () => note('renew'), release: () => note('release') };
    },
  };
}

function start(fails = '') {
  const events: string[] = [];
  return { events, locks: new AllWriteLocks(noted('own', events), noted('shared', events, fails)) };
}

test('a write of another Praefect is waited for after those of this one, and released before', async () => {
  const { events, locks } = start();
  const lock = await locks.lock(repository, 1n, signal);
  await lock.release();
  assert.deepEqual(events, ['own lock', 'shared lock', 'shared release', 'own release']);
});

test('a lock that other Praefects do not give, or that cannot be released, is free here', async () => {
  const refused = start('lock');
  await assert.rejects(refused.locks.lock(repository, 1n, signal), { message: 'no lock' });
  assert.deepEqual(refused.events, ['own lock', 'shared lock', 'own release']);

  const kept = start('release');
  const lock = await kept.locks.lock(repository, 1n, signal);
  await assert.rejects(lock.release(), { message: 'no release' });
  assert.equal(kept.events.at(-1), 'own release');
});

test('a lease is renewed once it is five seconds old', async (context) => {
  const pass = movedClock(context);
  const { events, locks } = start();
  const lock = await locks.lock(repository, 1n, signal);
  events.length = 0;
  const renewedAfter = async (ms: number): Promise<boolean> => {
    await pass(ms);
    await lock.renew();
    return events.splice(0).length > 0;
  };

  assert.equal(await renewedAfter(4999), false);
  assert.equal(await renewedAfter(1), true);
  assert.equal(await renewedAfter(4999), false, 'its age counts from the last renewal');
  assert.equal(await renewedAfter(1), true);
});

test('a lease that was lost fails the vote', async (context) => {
  const pass = movedClock(context);
  const { locks } = start('renew');
  const lock = await locks.lock(repository, 1n, signal);
  await pass(5000);
  await assert.rejects(lock.renew(), { message: 'no renew' });
});
