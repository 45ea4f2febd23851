import assert from 'node:assert/strict';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { collectAfterBulkBytes, noteBulkBytes } from './bulk-memory.ts';

test('reading bulk bytes triggers no collections in a process that has not asked for them', async () => {
  const kinds = await collectionsOf64MiB();

  const young = kinds.filter((kind) => kind === constants.NODE_PERFORMANCE_GC_MINOR).length;
  assert.ok(young < 4, `${young} collections of the young generation`);
});

test('reading bulk bytes triggers collections of the young generation', async () => {
  collectAfterBulkBytes();

  const kinds = await collectionsOf64MiB();

  const young = kinds.filter((kind) => kind === constants.NODE_PERFORMANCE_GC_MINOR).length;
  assert.ok(young >= 8, `${young} collections of the young generation`);
  // Other tests of this process may cause a full collection here; bulk bytes would cause many.
  const full = kinds.filter((kind) => kind === constants.NODE_PERFORMANCE_GC_MAJOR).length;
  assert.ok(full <= 2, `${full} full collections`);
});

async function collectionsOf64MiB(): Promise<unknown[]> {
  const kinds: unknown[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) kinds.push(kindOf(entry));
  });
  observer.observe({ entryTypes: ['gc'] });
  for (let i = 0; i < 1024; i++) noteBulkBytes(65_536);
  await delay(20); // entries of the collections are delivered later
  observer.disconnect();
  return kinds;
}

/** Garbage collection entries have a kind, which the type definitions omit. */
function kindOf(entry: object): unknown {
  const detail: unknown = 'detail' in entry ? entry.detail : undefined;
  return typeof detail === 'object' && detail !== null && 'kind' in detail ? detail.kind : undefined;
}
