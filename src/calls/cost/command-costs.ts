import type { SpawnWaits } from '#git/command/process/spawn-gate';
import type { ProcessObserver, ProcessStats } from '#git/command/process/start-process';
import type { Logger } from '#platform/log/logger';
import type { CommandLabel, CommandMetrics } from '#platform/metrics/gitaly-metrics';
import type { ServerCall } from '#rpc/server/server-call';
import { explainCommand } from '../explain.ts';
import { runningCall } from '../running-call.ts';
import type { RunningCalls } from '../running-calls.ts';
import type { Tracing } from '../tracing/tracing.ts';
import { anonymousBytes } from './anonymous-bytes.ts';

/**
 * Counts the resource usage of child processes: in the metrics by method and command, and as sums
 * in the fields `command.*` of the call's log line. What a process wrote to standard error is
 * logged: as an error if it failed, and was not killed by us.
 */
export function observeCommands(
  metrics: CommandMetrics,
  logger: Logger,
  gitVersion: () => string,
  calls: RunningCalls,
  tracing?: Tracing,
): ProcessObserver {
  const memory = new MemorySamples();
  return (start) => {
    const { program, subcommand, forkMs } = start;
    const call = runningCall();
    const own = {
      grpc_service: call?.method.service ?? '',
      grpc_method: call?.method.name ?? '',
      cmd: program,
      subcmd: subcommand,
    };
    const running = metrics.running.with(own);
    running.inc();
    const endSamples = memory.start(start.pid);
    const onListed = calls.processStarted(call, start);
    const onTraced = tracing?.command(call, start);
    const onExplained = explainCommand(call, start);
    metrics.forkingSeconds.observe(forkMs / 1000);
    return (stats) => {
      running.dec();
      const backend = { reference_backend: start.referenceBackend ?? '' };
      count(metrics, { ...own, ...backend, git_version: gitVersion() }, stats);
      const anonymous = endSamples();
      if (call !== undefined) addToLine(call, stats, anonymous);
      onListed();
      onTraced?.(stats);
      onExplained?.(stats);
      if (stats.stderrHead.length > 0) logStderr(logger, stats, call);
    };
  };
}

/** Counts the waits for starts of processes. */
export function observeStarts(metrics: CommandMetrics): SpawnWaits {
  return {
    waiting: (change) => metrics.waitingStarts.inc(change),
    waited: (seconds) => metrics.waitingSeconds.observe(seconds),
    refused: () => metrics.refusedStarts.inc(),
  };
}

function count(
  metrics: CommandMetrics,
  labels: Readonly<Record<CommandLabel, string>>,
  { exit }: ProcessStats,
): void {
  metrics.realSeconds.with(labels).inc(exit.realMs / 1000);
  metrics.signalsReceived.with(labels).inc(exit.signal === undefined ? 0 : 1);
  const { usage } = exit;
  if (usage === undefined) return;
  metrics.cpuSeconds.with({ ...labels, mode: 'user' }).inc(usage.userMs / 1000);
  metrics.cpuSeconds.with({ ...labels, mode: 'system' }).inc(usage.systemMs / 1000);
  metrics.minorPageFaults.with(labels).inc(usage.minorFaults);
  metrics.majorPageFaults.with(labels).inc(usage.majorFaults);
  const switches = { voluntary: usage.voluntarySwitches, nonvoluntary: usage.involuntarySwitches };
  for (const [ctxswitchtype, count] of Object.entries(switches))
    metrics.contextSwitches.with({ ...labels, ctxswitchtype }).inc(count);
}

/**
 * Adds a process to the sums on the call's log line. A process that ends after its call is not
 * added, because the line is written already.
 */
function addToLine(
  call: ServerCall,
  { forkMs, exit, controlGroupPath }: ProcessStats,
  anonymousBytes: number,
): void {
  const { usage } = exit;
  const used: Record<string, number> = {
    'command.count': 1,
    'command.real_time_ms': exit.realMs,
    'command.spawn_token_fork_ms': forkMs,
    ...(usage && {
      'command.user_time_ms': usage.userMs,
      'command.system_time_ms': usage.systemMs,
      'command.cpu_time_ms': usage.userMs + usage.systemMs,
      'command.minflt': usage.minorFaults,
      'command.majflt': usage.majorFaults,
      'command.inblock': usage.blocksIn,
      'command.oublock': usage.blocksOut,
    }),
  };
  const sums: Record<string, number> = {};
  for (const [field, value] of Object.entries(used))
    sums[field] = Math.round(Number(call.logFields[field] ?? 0) + value);
  if (usage) {
    const keepLargest = (field: string, value: number): void => {
      sums[field] = Math.max(Number(call.logFields[field] ?? 0), value);
    };
    keepLargest('command.maxrss', usage.maxRssKilobytes * 1024);
    keepLargest('command.maxrssanon_bytes', anonymousBytes);
  }
  call.context.log.add({ ...sums, ...(controlGroupPath && { 'command.cgroup_path': controlGroupPath }) });
}

function logStderr(logger: Logger, stats: ProcessStats, call: ServerCall | undefined): void {
  const { argv, pid, exit, stderrHead, repositoryPath, controlGroupPath, wasKilled } = stats;
  const fields = {
    pid,
    args: argv.map(String),
    path: repositoryPath ?? '',
    'command.exitCode': exit.code ?? -1,
    'command.real_time_ms': Math.round(exit.realMs),
    ...(controlGroupPath && { 'command.cgroup_path': controlGroupPath }),
    ...(call && {
      correlation_id: call.context.correlationId,
      'grpc.method': call.method.name,
      'grpc.service': call.method.service,
    }),
  };
  logger.log(exit.code === 0 || wasKilled ? 'warn' : 'error', fields, stderrHead.toString());
}

/** The same interval as Gitaly's. A process that ends before the first sample has none. */
const INTERVAL_MS = 250;
/** Number of concurrent reads; other processes are sampled in later rounds. */
const MAX_READS = 32;

interface Sampled {
  readonly pid: number;
  maxBytes: number;
}

/** Samples the anonymous memory of running processes, and keeps the largest value of each. */
class MemorySamples {
  /** Recently sampled processes are at the end. */
  readonly #running = new Set<Sampled>();
  #timer: NodeJS.Timeout | undefined;
  #isReading = false;

  /**
   * Starts to sample a process. The returned function stops it and returns the maximum; 0 without
   * samples.
   */
  start(pid: number): () => number {
    const sampled: Sampled = { pid, maxBytes: 0 };
    this.#running.add(sampled);
    this.#timer ??= setInterval(() => void this.#sample(), INTERVAL_MS).unref();
    return () => {
      this.#running.delete(sampled);
      if (this.#running.size === 0) {
        clearInterval(this.#timer);
        this.#timer = undefined;
      }
      return sampled.maxBytes;
    };
  }

  async #sample(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    await Promise.all([...this.#running].slice(0, MAX_READS).map((sampled) => this.#read(sampled)));
    this.#isReading = false;
  }

  async #read(sampled: Sampled): Promise<void> {
    const bytes = (await anonymousBytes(sampled.pid)) ?? 0;
    if (!this.#running.delete(sampled)) return;
    this.#running.add(sampled);
    sampled.maxBytes = Math.max(sampled.maxBytes, bytes);
  }
}
