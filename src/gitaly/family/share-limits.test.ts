import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_TURN_MS, TotalLimit } from '#domain/pack-objects/total-limit';
import { LinkedFamily } from '#testkit/servers/linked-family';
import { until } from '#testkit/until';
import { RemotePackPlaces } from './remote-pack-places.ts';
import { sharePlaces } from './share-limits.ts';

const { signal } = new AbortController();
const isHeldUp = () => false;

// A pack that git computes keeps its place only while packs of its own repository wait.
test('packs of a repository in several processes belong together', async (context) => {
  let now = performance.now();
  context.mock.method(performance, 'now', () => now);
  context.mock.timers.enable({ apis: ['setInterval'] });
  const places = new TotalLimit({ name: 'packs', capacity: 1 });
  const family = new LinkedFamily();
  sharePlaces(family.supervisor.desk, 'all', places);
  const ofWorker = new RemotePackPlaces(family.start().link, 'all');
  const own = await places.acquire({ repository: '/a.git', isHeldUp }, { signal });
  const same = ofWorker.acquire({ repository: '/a.git', isHeldUp }, { signal });
  await until(() => places.waiting === 1);
  const waitLong = (): void => {
    now += 2 * MAX_TURN_MS;
    context.mock.timers.tick(1000);
  };

  waitLong();
  assert.deepEqual([places.inUse, places.waiting], [1, 1], 'the place was taken away');
  const other = ofWorker.acquire({ repository: '/b.git', isHeldUp }, { signal });
  await until(() => places.waiting === 2);
  waitLong();

  (await same)();
  (await other)();
  own();
  await until(() => places.inUse === 0);
});
