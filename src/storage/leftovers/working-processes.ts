import { readdir, readFile, readlink } from 'node:fs/promises';

/** A process of this machine, as far as we may check it. */
export interface MachineProcess {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
}

/**
 * Reports whether a process that this server did not start, such as a git that survived an earlier
 * one, works in a directory or has a path in it as an argument. `false` where the system does not
 * list processes (not Linux).
 */
export async function isWorkedIn(directory: string): Promise<boolean> {
  const processes = await Array.fromAsync(machineProcesses());
  // Each process that we start has its own process group.
  const ours = new Set(processes.flatMap(({ pid, parent }) => (parent === process.pid ? [pid] : [])));
  for (const { pid, group } of processes) {
    if (pid === process.pid || ours.has(group)) continue;
    const words = (await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).split('\0');
    const workplace = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    if ([...words, workplace].some((word) => names(word, directory))) return true;
  }
  return false;
}

/** Yields the processes of this machine; none where the system does not report them. */
export async function* machineProcesses(): AsyncGenerator<MachineProcess> {
  for (const name of await readdir('/proc').catch(() => [])) {
    const found = /^\d+$/.test(name) ? await readProcess(Number(name)) : undefined;
    if (found !== undefined) yield found;
  }
}

/** Reads fields 4 and 5 of `/proc/<pid>/stat`; `undefined` for a process that has ended. */
async function readProcess(pid: number): Promise<MachineProcess | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  // The name of the program, in parentheses, may have spaces and parentheses itself.
  const [state, parent, group] = text.replace(/^.*\) /s, '').split(' ');
  if (state === undefined || state === 'Z') return undefined;
  return { pid, parent: Number(parent), group: Number(group) };
}

function names(word: string, directory: string): boolean {
  // Options may contain the path: `--git-dir=…`.
  const at = word.indexOf(directory);
  return at !== -1 && ['', '/'].includes(word.charAt(at + directory.length));
}
