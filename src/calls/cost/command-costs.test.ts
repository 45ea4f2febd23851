import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { ProcessObserver, ProcessStart, ProcessStats } from '#git/command/process/start-process';
import { spawnProgram } from '#git/command/spawn-program';
import { chooseSpawner } from '#git/command/spawner/choose-spawner';
import { createLogger } from '#platform/log/logger';
import { COMMANDS } from '#platform/metrics/gitaly-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { ServerCall } from '#rpc/server/server-call';
import { lineLogger } from '#testkit/line-logger';
import { until } from '#testkit/until';
import { RunningCall } from '../running-call.ts';
import { RunningCalls } from '../running-calls.ts';
import { observeCommands, observeStarts } from './command-costs.ts';

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
  const codes = lines.map((line) => line['command.exitCode']);
  assert.deepEqual(codes, [1, 0, -1, -1], 'as in Go, -1 for a signal');
});

const START: ProcessStart = {
  program: 'git',
  subcommand: 'log',
  argv: ['git', 'log'],
  pid: process.pid,
  forkMs: 20,
  repositoryPath: '/x.git',
  controlGroupPath: undefined,
  referenceBackend: 'files',
};
const USAGE = {
  ...{ userMs: 1500, systemMs: 250, maxRssKilobytes: 100, minorFaults: 7, majorFaults: 2 },
  ...{ blocksIn: 8, blocksOut: 16, signals: 0, voluntarySwitches: 3, involuntarySwitches: 4 },
};

/** Returns the facts about the end of a process that took two seconds. */
function ended(usage: Partial<typeof USAGE> = {}): ProcessStats {
  const exit = { code: 0, signal: undefined, ended: undefined, realMs: 2000, usage: { ...USAGE, ...usage } };
  return { ...START, exit, wasKilled: false, stderrHead: Buffer.alloc(0) };
}

/** Starts to observe commands in a call. `fields` are those of its log line. */
function observeCall() {
  const registry = new MetricsRegistry();
  const fields: Record<string, unknown> = {};
  const log = { add: (more: object) => void Object.assign(fields, more) };
  const method = { service: 'gitaly.CommitService', name: 'FindCommit' };
  const call = { method, logFields: fields, context: { log, correlationId: 'one' } } as unknown as ServerCall;
  const { lines, logger } = lineLogger();
  const running = new RunningCalls();
  const observer = observeCommands(registry.declare(COMMANDS), logger, () => '2.50.0', running);
  const start = (facts = START): ((stats: ProcessStats) => void) => {
    let end: ReturnType<ProcessObserver>;
    new RunningCall(call).within(() => {
      end = observer(facts);
    });
    return end ?? assert.fail('observed to the end');
  };
  /** Returns the lines of a metric. */
  const values = (name: string): string[] =>
    registry
      .render('text')
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return { fields, lines, running, start, values };
}

test('what processes use is counted by method and command', () => {
  const { running, start, values } = observeCall();
  const own = 'cmd="git",grpc_method="FindCommit",grpc_service="gitaly.CommitService",subcmd="log"';
  const ends = [start(), start()];
  assert.deepEqual(values('gitaly_commands_running'), [`gitaly_commands_running{${own}} 2`]);

  assert.equal(running.isWorking, true);

  for (const end of ends) end(ended());

  assert.equal(running.isWorking, false);
  assert.deepEqual(values('gitaly_commands_running'), [`gitaly_commands_running{${own}} 0`]);
  assert.deepEqual(values('gitaly_spawn_forking_time_seconds_sum'), [
    'gitaly_spawn_forking_time_seconds_sum 0.04',
  ]);
  const labels = `${own},reference_backend="files",git_version="2.50.0"`;
  const totals = (name: string): Record<string, string> =>
    Object.fromEntries(
      values(`gitaly_command_${name}_total`).map((line) => {
        const [, all = '', value = ''] = /\{(.*)\} (.*)$/.exec(line) ?? [];
        assert.ok(
          labels.split(',').every((label) => all.split(',').includes(label)),
          line,
        );
        const rest = all.split(',').filter((label) => !labels.split(',').includes(label));
        return [rest.join(), value];
      }),
    );
  assert.deepEqual(totals('cpu_seconds'), { 'mode="user"': '3', 'mode="system"': '0.5' });
  assert.deepEqual(totals('real_seconds'), { '': '4' });
  assert.deepEqual(totals('minor_page_faults'), { '': '14' });
  assert.deepEqual(totals('major_page_faults'), { '': '4' });
  assert.deepEqual(totals('context_switches'), {
    'ctxswitchtype="voluntary"': '6',
    'ctxswitchtype="nonvoluntary"': '8',
  });
});

test('the log line of a call has the sums of its processes, and their largest memory', () => {
  const { fields, lines, start } = observeCall();

  for (const usage of [{ maxRssKilobytes: 300 }, {}]) start()(ended(usage));

  assert.deepEqual(lines, []);
  assert.deepEqual(fields, {
    'command.count': 2,
    'command.real_time_ms': 4000,
    'command.spawn_token_fork_ms': 40,
    'command.user_time_ms': 3000,
    'command.system_time_ms': 500,
    'command.cpu_time_ms': 3500,
    'command.minflt': 14,
    'command.majflt': 4,
    'command.inblock': 16,
    'command.oublock': 32,
    'command.maxrss': 300 * 1024,
    'command.maxrssanon_bytes': 0,
  });
});

test('a process whose usage is unknown counts with its time', () => {
  const { fields, start, values } = observeCall();
  const stats = ended();

  start({ ...START, controlGroupPath: '/gitaly/repos-1' })({
    ...stats,
    controlGroupPath: '/gitaly/repos-1',
    exit: { ...stats.exit, usage: undefined },
  });

  assert.deepEqual(fields, {
    'command.count': 1,
    'command.real_time_ms': 2000,
    'command.spawn_token_fork_ms': 20,
    'command.cgroup_path': '/gitaly/repos-1',
  });
  assert.deepEqual(values('gitaly_command_cpu_seconds_total'), []);
});

test('the memory of a process is sampled while it runs', async (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const { fields, start } = observeCall();
  const field = 'command.maxrssanon_bytes';
  const isSampled = async (): Promise<boolean> => {
    const end = start(); // its pid is that of this process
    context.mock.timers.tick(250);
    for (const _ of [1, 2]) await readFile('/proc/self/status'); // takes as long as a sample
    end(ended());
    return Number(fields[field]) > 0;
  };

  for (const _ of ['first', 'after all have ended']) {
    await until(isSampled);
    const bytes = Number(fields[field]);
    assert.ok(bytes > 2 ** 20 && bytes < 2 ** 33, `${bytes}`);
    fields[field] = 0;
  }
  start()(ended());
  assert.equal(fields[field], 0, 'it ended before the first sample');
});

test('waits for the start of processes are counted', () => {
  const registry = new MetricsRegistry();
  const waits = observeStarts(registry.declare(COMMANDS));

  for (const change of [1, 1, -1] as const) waits.waiting(change);
  waits.waited(0.25);
  waits.refused();

  const text = registry.render('text');
  assert.match(text, /^gitaly_spawn_token_waiting_length 1$/m);
  assert.match(text, /^gitaly_spawn_waiting_time_seconds_sum 0.25$/m);
  assert.match(text, /^gitaly_spawn_timeouts_total 1$/m);
});
