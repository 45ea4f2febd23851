import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import type { Database } from '../database/database.ts';
import { databaseMetrics } from './database-metrics.ts';

test('a metric whose query fails is left out and logged, verifications only if they are on', async () => {
  for (const [verificationIntervalMs, failures] of [
    [0, ['failed to query queue depth metrics']],
    [1, ['failed to query queue depth metrics', 'failed to query verification queue depth metric']],
  ] as const) {
    const log: { msg?: string; component?: string; error?: string }[] = [];
    const write = (line: string) => log.push(JSON.parse(line));
    // All that the metrics use of a database.
    const database = { limitedRows: () => Promise.reject(new Error('gone')) } as unknown as Database;
    const read = databaseMetrics({
      database,
      availability: { countUnavailable: async () => new Map([['b', 2]]) },
      storages: new Map([
        ['a', ['a1']],
        ['b', ['b1']],
      ]),
      verificationIntervalMs,
      timeoutMs: 1000,
      logger: createLogger({ format: 'json', level: 'error', stream: { write } }),
    });

    const text = await read('text');

    assert.deepEqual(
      text.split('\n').filter((line) => /^gitaly/.test(line)),
      [
        'gitaly_praefect_unavailable_repositories{virtual_storage="a"} 0',
        'gitaly_praefect_unavailable_repositories{virtual_storage="b"} 2',
      ],
    );
    assert.deepEqual(log.map(({ msg }) => msg).sort(), failures);
    assert.deepEqual(new Set(log.map(({ error }) => error)), new Set(['gone']));
  }
});
