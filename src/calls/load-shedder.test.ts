import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { CallError, dial } from '#client/index';
import { spawnProgram } from '#git/command/spawn-program';
import { chooseSpawner } from '#git/command/spawner/choose-spawner';
import { RequestFlags } from '#platform/flags/feature-flags';
import type { LoadSample } from '#platform/load/conditions';
import { LOAD_SHEDDER } from '#platform/metrics/load-shedder-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { type HandlerContext, serve } from '#rpc/server/handler';
import { listen } from '#testkit/clients/in-process-rpc';
import { lineLogger } from '#testkit/line-logger';
import { never, until } from '#testkit/until';
import { CommitService } from '#wire/gen/commit_pb';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { logBurden, startCallReports } from './call-reports.ts';
import { LoadShedder, type LoadShedderOptions } from './load-shedder.ts';
import { rememberCall, runningCall } from './running-call.ts';
import { RunningCalls } from './running-calls.ts';

const OFF = {
  enabled: false,
  warningThreshold: 10,
  backoffThreshold: 20,
  criticalThreshold: 40,
  sustainDurationSeconds: 30,
  fastFallRatio: 0.85,
};
const METRIC =
  'gitaly_loadshedder_rpcs_shed_total{grpc_method="FindCommit",grpc_service="gitaly.CommitService",' +
  'reason="high CPU usage"}';

function sampleOf(avg60: number, oomKills = 0): LoadSample {
  const pressure = { memory: undefined, io: undefined, cpu: { avg10: 0, avg60 } };
  const cgroup = {
    anonBytes: 1,
    memoryLimitBytes: undefined,
    oomKills,
    throttledSeconds: 0,
    pressure,
  };
  return { atMs: 0, cgroup, eventLoopDelayMs: 0, heapShare: 0 };
}

/** A server whose calls each run a process that uses processor time and then sleeps. */
async function start(others?: LoadShedderOptions['others']) {
  const calls = new RunningCalls();
  const spawner = await chooseSpawner();
  let ready = 0;
  const work = async (rounds: number, { signal }: HandlerContext): Promise<object> => {
    await using process = spawnProgram('/bin/sh', {
      spawner,
      observer: (started) => calls.processStarted(runningCall(), started),
      args: ['-c', `i=0; while [ $i -lt ${rounds} ]; do i=$((i+1)); done; echo; exec sleep 60`],
      env: { PATH: '/usr/bin:/bin' },
      cwd: '/',
      signal,
    });
    await once(process.stdout, 'data');
    ready++;
    await process.exited;
    signal.throwIfAborted();
    return {};
  };
  const server = await listen({
    services: [
      serve(CommitService, {
        findCommit: ({ revision }, context) => work(Number(String(Buffer.from(revision))), context),
      }),
      serve(RepositoryService, { writeRef: (_request, context) => work(300_000, context) }),
    ],
    interceptors: [calls.interceptor, rememberCall],
    contextExtras: {
      flags: (headers) => new RequestFlags(headers),
      openSidechannel: () => Promise.reject(new Error('none')),
    },
  });
  const state = { sample: sampleOf(0), now: 0 };
  const { lines: log, logger } = lineLogger();
  const registry = new MetricsRegistry();
  const shedder = new LoadShedder({
    thresholds: { cpu: { ...OFF, enabled: true }, memory: OFF, io: OFF },
    calls,
    sample: () => Promise.resolve(state.sample),
    metrics: registry.declare(LOAD_SHEDDER),
    logger,
    others,
    now: () => state.now,
  });
  const connection = await dial(`tcp://127.0.0.1:${server.port}`);
  return {
    connection,
    log,
    startReports: () => startCallReports(calls, { registry }, logger),
    logBurden: () => logBurden(calls, logger),
    shedder,
    state,
    ready: () => ready,
    metric: () =>
      registry
        .render('text')
        .split('\n')
        .find((line) => line.startsWith(METRIC)),
    async [Symbol.asyncDispose]() {
      await connection.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Follows the outcome of a call. */
function follow(call: Promise<unknown>): { outcome: unknown } {
  const state: { outcome: unknown } = { outcome: 'running' };
  call.then(
    () => (state.outcome = 'OK'),
    (error: unknown) => (state.outcome = error),
  );
  return state;
}

test('critical load ends the ten reading calls with the most processor time', async () => {
  await using fixture = await start();
  const { connection, log, metric, ready, shedder, state } = fixture;
  const read = (rounds: number, metadata = {}) =>
    follow(connection.commit.findCommit({ revision: Buffer.from(String(rounds)) }, { metadata }));
  const idle = read(0);
  const busy = Array.from({ length: 10 }, (_, index) => read(100_000 + index));
  const writing = follow(connection.repository.writeRef({}));
  const exempt = read(300_000, { 'gitaly-feature-burdenmonitor-track-commands': 'false' });
  await until(() => ready() === 13);

  await shedder.poll();
  assert.equal(log.length, 0);
  state.sample = sampleOf(40);
  await shedder.poll();

  await until(() => busy.every(({ outcome }) => outcome !== 'running'));
  for (const { outcome } of busy) {
    assert.ok(outcome instanceof CallError);
    assert.equal(outcome.code, 'RESOURCE_EXHAUSTED');
    assert.equal(outcome.message, 'RPC cancelled by load shedder: high CPU usage');
    const [detail] = outcome.details;
    assert.deepEqual(
      [detail?.$typeName, detail && 'errorMessage' in detail && detail.errorMessage],
      [LimitErrorSchema.typeName, 'high CPU usage'],
    );
  }
  assert.deepEqual([idle.outcome, writing.outcome, exempt.outcome], ['running', 'running', 'running']);
  assert.equal(metric(), `${METRIC} 10`);
  const [call, event] = [log[0], log.at(-1)];
  assert.ok(Number(call?.cpu_time_ms) > 0 && Number(call?.memory_bytes) > 0);
  assert.partialDeepStrictEqual(event, {
    level: 'warning',
    msg: 'load shedder cancelled in-flight RPCs',
    condition: 'LoadShedderPSI/cpu',
    reason: 'loadshedder_psi_critical',
    sniped_count: 10,
  });
  assert.partialDeepStrictEqual(call, {
    msg: 'load shedder cancelled RPC',
    reason: 'high CPU usage',
    active_cmds: 1,
  });

  // Not twice within 15 seconds.
  state.now = 15_000;
  await shedder.poll();
  assert.equal(idle.outcome, 'running');
  state.now = 15_001;
  await shedder.poll();
  await until(() => idle.outcome !== 'running');
});

test('a process that the kernel has ended for lack of memory is a sign of critical load', async () => {
  await using fixture = await start();
  const { connection, log, ready, shedder, state } = fixture;
  const call = follow(connection.commit.findCommit({ revision: Buffer.from('0') }));
  await until(() => ready() === 1);

  state.sample = sampleOf(39, 5);
  await shedder.poll();
  await shedder.poll();
  assert.ok(!log.some(({ condition }) => condition !== undefined));
  state.sample = sampleOf(39, 6);
  await shedder.poll();

  await until(() => call.outcome !== 'running');
  assert.partialDeepStrictEqual(log.at(-1), {
    condition: 'LoadShedderOOMKill',
    reason: 'loadshedder_oom_kill',
    sniped_count: 1,
  });
});

test('the calls with the highest costs are logged with their processes', async () => {
  await using fixture = await start();
  const { connection, log, logBurden, ready } = fixture;
  await logBurden();
  assert.deepEqual(log, []);
  follow(connection.commit.findCommit({ revision: Buffer.from('0') }));
  await until(() => ready() === 1);
  follow(connection.commit.findCommit({ revision: Buffer.from('300000') }));
  follow(connection.repository.writeRef({}));
  await until(() => ready() === 3);

  await logBurden();

  const line: Record<string, unknown> = log[0] ?? {};
  const { 'top_cpu_1.total_cpu_ms': most, 'top_cpu_2.total_cpu_ms': least } = line;
  assert.partialDeepStrictEqual(line, {
    level: 'info',
    msg: 'burden monitor stats',
    'top_cpu_1.rpc': 'gitaly.CommitService/FindCommit',
    'top_cpu_1.repository': '',
    'top_cpu_1.active_commands': 1,
    'top_cpu_1.command_1.name': 'sh',
    'top_cpu_1.command_1.cpu_ms': most,
    'top_memory_1.active_commands': 1,
  });
  assert.ok(Number(most) > Number(least) && Number(line['top_memory_2.total_memory_bytes']) > 0);
  // Calls that write are not among them.
  assert.ok(!Object.keys(line).some((name) => name.startsWith('top_cpu_3')));
});

test('the costs are logged every five minutes, until the reports end', async ({ mock }) => {
  await using fixture = await start();
  const { connection, log, logBurden, ready, startReports } = fixture;
  follow(connection.commit.findCommit({ revision: Buffer.from('0') }));
  await until(() => ready() === 1);
  mock.timers.enable({ apis: ['setInterval'] });
  const reports = startReports();

  mock.timers.tick(299_999);
  await logBurden();
  assert.equal(log.length, 1);
  mock.timers.tick(1);
  await until(() => log.length === 2);
  reports[Symbol.dispose]();
  mock.timers.tick(300_000);

  await never(() => log.length > 2);
  assert.equal(log[1]?.msg, 'burden monitor stats');
});

test('calls of other processes count among the ten', async () => {
  const ended: number[] = [];
  const others = [1_000_000, 0, -1].map((cpuMs) => ({
    cpuMs,
    end: async () => {
      ended.push(cpuMs);
      return true;
    },
  }));
  await using fixture = await start(async () => others);
  const { connection, log, ready, shedder, state } = fixture;
  const running = Array.from({ length: 8 }, () =>
    follow(connection.commit.findCommit({ revision: Buffer.from('20000') })),
  );
  await until(() => ready() === running.length);

  state.sample = sampleOf(40);
  await shedder.poll();

  await until(() => running.every(({ outcome }) => outcome instanceof CallError));
  assert.deepEqual(ended, [1_000_000, 0]);
  assert.equal(log.at(-1)?.sniped_count, 10);
});
