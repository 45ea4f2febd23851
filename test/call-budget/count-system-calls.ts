import { readdirSync, readFileSync } from 'node:fs';
import { trace } from '#testkit/measure/strace';

/** The work of a server and its processes, in all. */
export interface SystemCallCounts {
  /** System calls of the server, all threads. */
  readonly ofServer: number;
  /** System calls of the processes that it started, and of theirs. */
  readonly ofGit: number;
  readonly processes: number;
  /** Flushes of files and directories to the disk. */
  readonly flushes: number;
  /** System calls of the server by name. */
  readonly byName: ReadonlyMap<string, number>;
}

/**
 * System calls for threads that wait and for memory: their number depends on the load of the
 * machine, not on the call.
 */
const NOT_COUNTED = new Set([
  ...['futex', 'epoll_pwait', 'restart_syscall', 'sched_yield', 'clock_nanosleep', 'rt_sigreturn'],
  ...['mmap', 'munmap', 'mprotect', 'madvise', 'brk', 'mremap', 'getrusage'],
]);

/**
 * Matches calls of the server whose number depends on the load, too: threads wake the event loop
 * once for all that they have finished until it runs, and lines of the log are written together.
 */
const OF_LOAD = /^\w+\((?:\d+<anon_inode:\[eventfd\]>|[12]<)/;

/** Matches calls of timers, which read figures of the machine at intervals: slow calls meet more. */
const OF_TIMERS = /^\w+\([^"]*[<"]\/proc\//;

/** Counts system calls of a process and of all that it starts, while a function runs. */
export async function countSystemCalls(pid: number, run: () => Promise<unknown>): Promise<SystemCallCounts> {
  const threads = new Set<string>();
  const text = await trace([pid, ...descendants(pid)], ['-s', '0', '-y'], async () => {
    for (const thread of readdirSync(`/proc/${pid}/task`)) threads.add(thread);
    await run();
  });
  return countsOf(text, threads);
}

/** Returns the processes that a process has started and that still run, such as waiting gits. */
function descendants(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`)
    .flatMap((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' '))
    .filter((child) => child !== '')
    .map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** Counts lines of strace. A call that others interrupt has two lines; its beginning counts. */
function countsOf(text: string, serverThreads: Set<string>): SystemCallCounts {
  const counts = { ofServer: 0, ofGit: 0, processes: 0, flushes: 0 };
  const byName = new Map<string, number>();
  const begun = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const call = joined(begun, thread, rest);
    const [, name = ''] = /^(\w+)\(/.exec(rest) ?? [];
    if (name !== '') {
      if (NOT_COUNTED.has(name)) continue;
      if (serverThreads.has(thread)) {
        if (OF_LOAD.test(rest) || OF_TIMERS.test(rest)) continue;
        counts.ofServer++;
        byName.set(name, (byName.get(name) ?? 0) + 1);
      } else counts.ofGit++;
      if (/^f(?:data)?sync$/.test(name)) counts.flushes++;
    }
    const [, clone, child = ''] = /^((?:clone3?|v?fork)\(.*\)) += (\d+)$/.exec(call ?? '') ?? [];
    if (clone === undefined) continue;
    if (!clone.includes('CLONE_THREAD')) counts.processes++;
    else if (serverThreads.has(thread)) serverThreads.add(child);
  }
  return { ...counts, byName };
}

/** Returns a finished call as one text; `undefined` for one that goes on. */
function joined(begun: Map<string, string>, thread: string, rest: string): string | undefined {
  const [, start] = /^(.*) <unfinished \.\.\.>$/.exec(rest) ?? [];
  if (start !== undefined) {
    begun.set(thread, start);
    return undefined;
  }
  const [, end] = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest) ?? [];
  return end === undefined ? rest : `${begun.get(thread)}${end}`;
}
