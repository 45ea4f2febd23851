import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { lazyModule } from '#base/lazy-module';
import { lifetimesRoot } from '#storage/storage-layout';
import type { Storages } from '#storage/storages';
import type { Expiry, ExpiryObserver } from './remove-expired.ts';

const INTERVAL_MS = 2_000;
/** Maximum share of the time that sweeps with many ends may take. */
const MAX_SHARE = 0.05;

const loadExpiry = lazyModule(() => import('./remove-expired.ts'));

/**
 * Removes repositories and references within seconds after their time has come. A server on which
 * no time was ever set loads nothing. Disposing ends a running sweep.
 */
export function startExpiry(storages: Storages, observer: ExpiryObserver): AsyncDisposable {
  const ending = new AbortController();
  const running = run(storages, observer, ending.signal);
  return {
    async [Symbol.asyncDispose]() {
      ending.abort();
      await running;
    },
  };
}

async function run(storages: Storages, observer: ExpiryObserver, signal: AbortSignal): Promise<void> {
  let expiry: Expiry | undefined;
  for (let pauseMs = INTERVAL_MS; ; ) {
    await delay(pauseMs, undefined, { signal, ref: false }).catch(() => {}); // the loop ends
    if (signal.aborted) return;
    const startedAt = performance.now();
    for (const storage of storages.all.filter((each) => existsSync(lifetimesRoot(each))))
      try {
        expiry ??= new (await loadExpiry()).Expiry(storages, observer);
        await expiry.sweep(storage, signal);
      } catch (error) {
        if (!signal.aborted) observer.onFailed('', error);
      }
    pauseMs = Math.max(INTERVAL_MS, (performance.now() - startedAt) / MAX_SHARE);
  }
}
