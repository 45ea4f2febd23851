import { writeFileSync } from 'node:fs';
import { systemErrorCode } from '#base/go/system-error';
import type { ControlGroup, SpawnRequest } from './spawner.ts';

const SHELL = '/bin/sh';

/**
 * Returns a request whose child joins its control group before the program runs: a shell writes its
 * own pid and becomes the program. Nothing of the program runs outside the group, which moving a
 * started process cannot promise. If the group is gone, the shell prints the reason and exits with
 * code 2.
 *
 * The program's `argv[0]` becomes its path.
 */
export function throughShell(request: SpawnRequest, { directories }: ControlGroup): SpawnRequest {
  const joins = directories.map((_, index) => `echo 0 > "$${index}/cgroup.procs"`);
  const shifts = directories.slice(1).map(() => 'shift');
  const script = [...joins, ...shifts, 'exec "$@"'].join(' && ');
  return {
    ...request,
    file: SHELL,
    argv: ['sh', '-c', script, ...directories, request.file, ...request.argv.slice(1)],
    controlGroup: undefined,
  };
}

/**
 * Moves a process that has just been started to its control group. One that cannot be moved is
 * killed, because it would run without limits.
 */
export function moveToGroup(pid: number, { directories }: ControlGroup): void {
  try {
    for (const directory of directories) writeFileSync(`${directory}/cgroup.procs`, String(pid));
  } catch (error) {
    if (systemErrorCode(error) === 'ESRCH') return; // it has ended
    process.kill(-pid, 'SIGKILL');
  }
}
