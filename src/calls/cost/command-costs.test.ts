import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spawnProgram } from '#git/command/spawn-program';
import { chooseSpawner } from '#git/command/spawner/choose-spawner';
import { createLogger } from '#platform/log/logger';
import { COMMANDS } from '#platform/metrics/gitaly-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { lineLogger } from '#testkit/line-logger';
import { until } from '#testkit/until';
import { RunningCalls } from '../running-calls.ts';
import { observeCommands } from './command-costs.ts';

test('processes that end by a signal are counted, others count as none', async () => {
  const registry = new MetricsRegistry();
  const logger = createLogger({ format: 'text', level: 'fatal', stream: { write: () => {} } });
  const observer = observeCommands(registry.declare(COMMANDS), logger, () => '2.50.0', new RunningCalls());
  const spawner = await chooseSpawner();
  const run = async (script: string): Promise<void> => {
    await using started = spawnProgram('/bin/sh', {
      spawner,
      observer,
      args: ['-c', script],
      env: {},
      cwd: '/',
    });
    await started.exited;
  };

  await run('exit 1');
  assert.match(registry.render('text'), /^gitaly_command_signals_received_total\{.*cmd="sh".*\} 0$/m);
  await run('kill -9 $$');
  await run('kill -TERM $$');

  assert.match(registry.render('text'), /^gitaly_command_signals_received_total\{.*cmd="sh".*\} 2$/m);
});

test('what a process wrote is an error only if it failed by itself', async () => {
  const { lines, logger } = lineLogger();
  const commands = new MetricsRegistry().declare(COMMANDS);
  const observer = observeCommands(commands, logger, () => '2.50.0', new RunningCalls());
  const spawner = await chooseSpawner();
  const start = (script: string) =>
    spawnProgram('/bin/sh', {
      spawner,
      observer,
      args: ['-c', script],
      env: { PATH: '/usr/bin:/bin' },
      cwd: '/',
    });

  for (const script of ['echo failed >&2; exit 1', 'echo done >&2', 'echo crashed >&2; kill -SEGV $$'])
    await start(script).exited;
  await using killed = start('echo killed >&2; exec sleep 60');
  await until(() => killed.stderr() !== '');
  killed.kill();
  await killed.exited;

  assert.deepEqual(
    lines.map(({ level, msg }) => [level, msg]),
    [
      ['error', 'failed\n'],
      ['warning', 'done\n'],
      ['error', 'crashed\n'],
      ['warning', 'killed\n'],
    ],
  );
});
