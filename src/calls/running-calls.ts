import { GitalyError } from '#base/gitaly-error';
import { BriefSet, type Member } from '#base/memory/brief-set';
import type { ProcessStart } from '#git/command/process/start-process';
import { CLIENT_NAME, CLIENT_NAME_OLD, REMOTE_IP, USER_ID, USERNAME } from '#rpc/common/header-names';
import type { CallStage, ServerCall, ServerInterceptor } from '#rpc/server/server-call';
import { callTarget } from './call-target.ts';
import { anonymousBytes } from './cost/anonymous-bytes.ts';
import { cpuTimeMs } from './cost/cpu-time.ts';
import type { CallStatus, ProcessStatus } from './top/status.ts';

/** Calls and processes in one status; of more, the oldest are listed. */
const MAX_LISTED = 500;
const MAX_COMMAND_CHARS = 200;

interface Process {
  readonly start: ProcessStart;
  readonly call: ServerCall | undefined;
  readonly startedAtMs: number;
}

/** Costs of a call and its processes so far. */
export interface CallCost {
  readonly call: ServerCall;
  /** Relative path; empty if the call has none. */
  readonly repository: string;
  readonly cpuMs: number;
  /** Anonymous memory of the processes. */
  readonly memoryBytes: number;
  readonly processes: readonly ProcessCost[];
}

/** Costs of a running process so far. */
export interface ProcessCost {
  readonly pid: number;
  /** Program and subcommand. */
  readonly command: string;
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly ageMs: number;
}

/** Methods whose calls last as long as their client, and wait most of the time. */
const ENDLESS: ReadonlySet<string> = new Set(['Watch']);

/** Commands that wait in pools after the call that started them. */
const POOLED: ReadonlySet<string> = new Set(['cat-file', 'diff-tree', 'update-ref']);

/** Reports whether a call lasts as long as its client, independent of the work. */
export function isEndless({ method }: ServerCall): boolean {
  return ENDLESS.has(method.name);
}

/** Keeps a call in a list until its end. */
class ListedCall implements CallStage {
  readonly #calls: BriefSet<ServerCall>;
  readonly #member: Member<ServerCall>;

  constructor(calls: BriefSet<ServerCall>, call: ServerCall) {
    this.#calls = calls;
    this.#member = calls.add(call);
  }

  end(): void {
    this.#calls.delete(this.#member);
  }
}

/** The calls that run now, and their git processes. */
export class RunningCalls {
  readonly #calls = new BriefSet<ServerCall>();
  /** Keys of the limits for which calls wait. */
  readonly #waits = new WeakMap<ServerCall, string>();
  readonly #processes = new Set<Process>();

  /** Keeps a call in the list until its end. */
  readonly interceptor: ServerInterceptor = (call) => {
    return new ListedCall(this.#calls, call);
  };

  /** Notes that a call waits for a limit. @returns what to call when it no longer waits. */
  waits(call: ServerCall, limit: string): () => void {
    this.#waits.set(call, limit);
    return () => void this.#waits.delete(call);
  }

  /** Records a process. @returns the function to call at its end. */
  processStarted(call: ServerCall | undefined, start: ProcessStart): () => void {
    const process: Process = { call, start, startedAtMs: performance.now() };
    this.#processes.add(process);
    return () => void this.#processes.delete(process);
  }

  /** Ends the calls with a correlation id, with an error. @returns their number. */
  cancel(correlationId: string): number {
    const error = new GitalyError('CANCELLED', 'cancelled by an operator');
    const chosen = [...this.#calls].filter(({ context }) => context.correlationId === correlationId);
    for (const call of chosen) call.cancel(error);
    return chosen.length;
  }

  /** Returns the calls, the oldest first. */
  list(): ServerCall[] {
    return [...this.#calls].sort((a, b) => a.startedAtMs - b.startedAtMs);
  }

  count(filter: (call: ServerCall) => boolean): number {
    let count = 0;
    for (const call of this.#calls) if (filter(call)) count++;
    return count;
  }

  /** Reports whether there are calls, or commands of background jobs. */
  get isWorking(): boolean {
    for (const call of this.#calls) if (!isEndless(call)) return true;
    for (const { start } of this.#processes) if (!POOLED.has(start.subcommand)) return true;
    return false;
  }

  async costs(filter: (call: ServerCall) => boolean): Promise<CallCost[]> {
    const chosen = [...this.#calls].filter(filter);
    const processes = Map.groupBy(this.#processes, ({ call }) => call);
    return await Promise.all(
      chosen.map(async (call) => {
        const running = await Promise.all((processes.get(call) ?? []).map(processCost));
        const ended = Number(call.logFields['command.cpu_time_ms'] ?? 0);
        return {
          call,
          repository: call.targets?.repository?.relativePath ?? '',
          cpuMs: running.reduce((sum, { cpuMs }) => sum + cpuMs, ended),
          memoryBytes: running.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
          processes: running,
        };
      }),
    );
  }

  /** Describes the calls, the oldest first, and the processes of calls that have ended. */
  async status(): Promise<{ calls: CallStatus[]; processes: ProcessStatus[]; callCount: number }> {
    const now = performance.now();
    const calls = this.list().slice(0, MAX_LISTED);
    const processes = [...this.#processes].slice(0, MAX_LISTED);
    const statuses = await Promise.all(
      processes.map(async (process) => ({ process, status: await processStatus(process, now) })),
    );
    const processesOf = (call: ServerCall): ProcessStatus[] =>
      statuses.filter(({ process }) => process.call === call).map(({ status }) => status);
    const running = new Set(this.#calls);
    return {
      calls: calls.map((call) => callStatus(call, now, this.#waits.get(call), processesOf(call))),
      processes: statuses
        .filter(({ process: { call } }) => call === undefined || !running.has(call))
        .map(({ status }) => status),
      callCount: running.size,
    };
  }
}

function callStatus(
  call: ServerCall,
  now: number,
  waitsFor: string | undefined,
  processes: ProcessStatus[],
): CallStatus {
  const { headers, method, context, peer } = call;
  const { nodes, project, repository, storage } = callTarget(call);
  return {
    method: method.path,
    age_ms: Math.round(now - call.startedAtMs),
    ...(waitsFor !== undefined && { waits_for: waitsFor }),
    storage,
    repository,
    project,
    user: userOf(call),
    client: clientOf(call),
    remote: headers.get(REMOTE_IP) ?? peer.address,
    correlation_id: context.correlationId,
    request_messages: call.requestMessages,
    response_messages: call.responseMessages,
    processes,
    ...(nodes !== undefined && { nodes }),
  };
}

/** Returns the name of the user for whom a client calls, or the id; empty if neither is known. */
export function userOf({ headers }: ServerCall): string {
  return headers.get(USERNAME) ?? headers.get(USER_ID) ?? '';
}

/** Returns the client's own name; empty if it has none. */
export function clientOf({ headers }: ServerCall): string {
  return headers.get(CLIENT_NAME) ?? headers.get(CLIENT_NAME_OLD) ?? '';
}

async function processCost({ start, startedAtMs }: Process): Promise<ProcessCost> {
  const [cpuMs, memoryBytes] = await Promise.all([cpuTimeMs(start.pid), anonymousBytes(start.pid)]);
  return {
    pid: start.pid,
    command: commandOf(start),
    cpuMs: cpuMs ?? 0,
    memoryBytes: memoryBytes ?? 0,
    ageMs: performance.now() - startedAtMs,
  };
}

async function processStatus({ start, startedAtMs }: Process, now: number): Promise<ProcessStatus> {
  const cpuMs = await cpuTimeMs(start.pid);
  return {
    pid: start.pid,
    command: commandOf(start),
    age_ms: Math.round(now - startedAtMs),
    ...(cpuMs !== undefined && { cpu_ms: cpuMs }),
    directory: start.repositoryPath ?? '',
  };
}

/** Returns the program and its subcommand: arguments may hold secrets. */
function commandOf({ program, subcommand }: ProcessStart): string {
  const command = subcommand === '' ? program : `${program} ${subcommand}`;
  return command.slice(0, MAX_COMMAND_CHARS);
}
