import assert from 'node:assert/strict';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { noteBulkBytes } from './bulk-memory.ts';

test('bulk bytes lead to collections of the young generation', async () => {
  const kinds: unknown[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) kinds.push(kindOf(entry));
  });
  observer.observe({ entryTypes: ['gc'] });

  for (let i = 0; i < 1024; i++) noteBulkBytes(65_536); // 64 MiB

  await delay(20);
  observer.disconnect();
  const young = kinds.filter((kind) => kind === constants.NODE_PERFORMANCE_GC_MINOR).length;
  assert.ok(young >= 8, `${young} collections of the young generation`);
  // Other tests of this process may be due for a full collection just now; bulk bytes would make many.
  const full = kinds.filter((kind) => kind === constants.NODE_PERFORMANCE_GC_MAJOR).length;
  assert.ok(full <= 2, `${full} full collections`);
});

/** Entries of collections say which kind they were; the type definitions do not know. */
function kindOf(entry: object): unknown {
  const detail: unknown = 'detail' in entry ? entry.detail : undefined;
  return typeof detail === 'object' && detail !== null && 'kind' in detail ? detail.kind : undefined;
}
