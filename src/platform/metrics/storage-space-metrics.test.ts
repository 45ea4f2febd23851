import assert from 'node:assert/strict';
import { rmSync, statfsSync } from 'node:fs';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { MetricsRegistry } from './metrics-registry.ts';
import { storageSpaceMetrics } from './storage-space-metrics.ts';

const sizeOf = (registry: MetricsRegistry): string | undefined =>
  /^gitaly_ts_storage_size_bytes\{storage="default"\} (\S+)$/m.exec(registry.render('text'))?.[1];

// An operator learnt of a full disk from the first refused push: no metric had the free space.
test('the space of a storage is that of its file system, and is gone with its directory', async () => {
  const path = makeScratchDirectory('space');
  const registry = new MetricsRegistry();
  storageSpaceMetrics(registry, [{ name: 'default', path }]);

  await until(() => sizeOf(registry) !== undefined);

  const { blocks, bsize } = statfsSync(path);
  const text = registry.render('text');
  const available = Number(/^gitaly_ts_storage_available_bytes\{storage="default"\} (\S+)$/m.exec(text)?.[1]);
  assert.equal(Number(sizeOf(registry)), blocks * bsize);
  assert.ok(available > 0 && available <= blocks * bsize, `${available}`);

  rmSync(path, { recursive: true });
  await until(() => sizeOf(registry) === undefined);
});
