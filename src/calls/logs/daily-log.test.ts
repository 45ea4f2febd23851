import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Housekeeping } from '#domain/housekeeping/housekeeping';
import { MaintenanceRuns } from '#domain/housekeeping/maintenance-runs';
import { maintainAll } from '#domain/housekeeping/schedule/daily-maintenance';
import { loggerFor } from '#platform/log/logger';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { startGitaly } from '#testkit/start-gitaly';
import { dailyLog } from './daily-log.ts';

for (const { what, config, time } of [
  {
    what: 'the time of the configuration',
    config: { daily_maintenance: { start_hour: 3, start_minute: 7, duration: '1h' } },
    time: [3, 7],
  },
  {
    what: 'noon without one, as in Gitaly',
    config: { daily_maintenance: { disabled: false } },
    time: [12, 0],
  },
])
  test(`the next daily maintenance is logged at the start: ${what}`, async () => {
    await using gitaly = await startGitaly({ config });

    const line = gitaly.log.find(({ msg }) => msg === 'maintenance: daily scheduled');

    const scheduled = new Date(String(line?.scheduled));
    assert.deepEqual([scheduled.getHours(), scheduled.getMinutes()], time);
    assert.ok(scheduled.getTime() > Date.now());
  });

function recorded() {
  const lines: [level: string, message: string, fields: Record<string, unknown>][] = [];
  const at = (level: string) => (fields: object, message: string) =>
    lines.push([level, message, { ...fields }]);
  const logger = loggerFor({ error: at('error'), warn: at('warn'), info: at('info') });
  return { lines, log: dailyLog(logger, { durationMs: 600_000 }) };
}

test('each repository is logged, also one that cannot be maintained', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('a.git', { commits: 1 });
  const broken = fixture.init('b.git', { commits: 1 });
  writeFileSync(join(broken.path, 'config'), '[core');
  const { lines, log: observer } = recorded();
  const housekeeping = new Housekeeping(new MaintenanceRuns());
  const options = { storages: fixture.storages, housekeeping, names: ['default'], observer };

  const count = await maintainAll(options, new AbortController().signal, { pauseMs: 0 });

  assert.equal(count, 2);
  const of = (path: string) => lines.find(([, , { relative_path }]) => relative_path === path);
  assert.deepEqual(of('a.git')?.slice(0, 2), ['info', 'maintenance: repo optimization succeeded']);
  assert.deepEqual(of('b.git')?.slice(0, 2), ['error', 'maintenance: repo optimization failure']);
  assert.partialDeepStrictEqual(of('a.git')?.[2], { storage: 'default', source: 'maintenance.daily' });
  assert.ok(Number(of('a.git')?.[2].time_ms) >= 0);
});

test('a run is logged with the texts and fields of Gitaly 19.0', () => {
  const { lines, log } = recorded();
  const startedAt = new Date(Date.now() - 1500);

  log.started();
  log.completed({ repositories: 2, startedAt });
  log.completed({ startedAt, error: new Error('no storage') });

  assert.deepEqual(
    lines.map(([level, message, { max_duration, error }]) => [level, message, max_duration, error]),
    [
      ['info', 'maintenance: daily starting', '10m0s', undefined],
      ['info', 'maintenance: daily completed', '10m0s', undefined],
      ['error', 'maintenance: daily completed', '10m0s', 'no storage'],
    ],
  );
  assert.match(String(lines[1]?.[2].actual_duration), /^1\.\d+s$/);
});
