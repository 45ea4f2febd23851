import type { CallStatus, ProcessStatus, QueueStatus, ServerStatus, WorkerStatus } from '#calls/top/status';
import { textTable } from '../admin/text-table.ts';

type BlockStatus = ServerStatus['blocked'][number];

/**
 * Renders a status as text: a summary, and tables of calls, limits, other processes and caches.
 * Tables without rows are left out. Control characters are replaced: names come from clients.
 */
export function renderStatus(status: ServerStatus): string {
  const parts = [
    summary(status),
    table(
      ['AGE', 'RPC', 'REPOSITORY', 'USER', 'CLIENT', 'CORRELATION ID', 'STATE'],
      status.calls.map(callRow),
    ),
    table(['WORKER', 'PID', 'AGE', 'CPU', 'MIB', 'CALLS'], (status.workers ?? []).map(workerRow)),
    table(['RUNNING', 'WAITING', 'MAX', 'RPC', 'REPOSITORY', 'LIMIT'], status.queues.map(queueRow)),
    table(['PID', 'AGE', 'CPU', 'OTHER PROCESSES', 'DIRECTORY'], status.processes.map(processRow)),
    table(['BLOCKED', 'AT', 'RPC', 'REPOSITORY', 'CORRELATION ID', 'CODE'], status.blocked.map(blockRow)),
    table(
      ['VALUE', 'CACHES'],
      Object.entries(status.caches).map(([name, value]) => [String(value), name]),
    ),
    table(['VALUE', 'COUNTERS', 'LABELS'], status.counters.flatMap(counterRows)),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function summary(status: ServerStatus): string {
  const { version, git_version, pid, uptime_seconds, cpu_seconds, memory_bytes, git } = status;
  const waiting = status.calls.filter(({ waits_for }) => waits_for !== undefined).length;
  const processes = [...status.calls.flatMap((call) => call.processes), ...status.processes];
  const cpuMs = processes.reduce((sum, { cpu_ms = 0 }) => sum + cpu_ms, 0);
  const lines = [
    `gitaly ${version}, git ${git_version}, pid ${pid}, up ${ageText(uptime_seconds * 1000)}, ` +
      `${cpu_seconds.toFixed(1)} s CPU, ${Math.round(memory_bytes / (1 << 20))} MiB, ${status.time}`,
    `${status.call_count} calls, ${waiting} wait for a limit, ${git.running_calls} run git, ` +
      `${git.waiting_calls} wait for git; ${processes.length} processes with ${ageText(cpuMs)} CPU`,
  ];
  return lines.map((line) => `${clean(line)}\n`).join('');
}

function callRow(call: CallStatus): string[] {
  const running = call.processes.map(
    ({ pid, command, cpu_ms = 0 }) => `${command} ${pid} ${ageText(cpu_ms)}`,
  );
  return [
    ageText(call.age_ms),
    rpcName(call.method),
    call.repository === '' ? call.storage : `${call.storage}:${call.repository}`,
    call.user,
    call.client,
    call.correlation_id,
    call.waits_for === undefined ? running.join(', ') : `waits for ${call.waits_for}`,
  ];
}

function workerRow(status: WorkerStatus): string[] {
  const { worker, pid, uptime_seconds, cpu_seconds, memory_bytes, call_count } = status;
  return [
    String(worker),
    String(pid),
    ageText(uptime_seconds * 1000),
    ageText(cpu_seconds * 1000),
    String(Math.round(memory_bytes / (1 << 20))),
    String(call_count),
  ];
}

function queueRow({ running, waiting, max, method, repository, caller, limit }: QueueStatus): string[] {
  const most = max === undefined ? '' : String(max);
  return [String(running), String(waiting), most, rpcName(method), repository || caller, limit];
}

function processRow({ pid, age_ms, cpu_ms = 0, command, directory }: ProcessStatus): string[] {
  return [String(pid), ageText(age_ms), ageText(cpu_ms), command, directory];
}

function blockRow({ blocked_ms, call, candidates = [], stack, time }: BlockStatus): string[] {
  const at = [ageText(blocked_ms), time];
  if (call === undefined) return [...at, `unknown, one of ${candidates.length}`, '', '', stack[0] ?? ''];
  return [
    ...at,
    rpcName(call.method),
    `${call.storage}:${call.repository}`,
    call.correlation_id,
    stack[0] ?? '',
  ];
}

/** The hits of caches are among the caches. */
function counterRows({ kind, title, values }: ServerStatus['counters'][number]): string[][] {
  if (kind === 'cache') return [];
  return Object.entries(values).map(([labels, value]) => [String(value), title, labels]);
}

/** `/gitaly.CommitService/FindCommit` → `CommitService/FindCommit` */
function rpcName(path: string): string {
  return path.replace(/^\/(gitaly\.)?/, '');
}

/** Returns a time as `350ms`, `12.3s`, `5m02s` or `3h05m`. */
export function ageText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)}s`;
  const [seconds, minutes] = [Math.floor(ms / 1000), Math.floor(ms / 60_000)];
  const two = (value: number): string => String(value).padStart(2, '0');
  if (minutes < 60) return `${minutes}m${two(seconds % 60)}s`;
  return `${Math.floor(minutes / 60)}h${two(minutes % 60)}m`;
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? '' : textTable([titles, ...rows.map((row) => row.map(clean))], false);
}

function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, '?');
}
