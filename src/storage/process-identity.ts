import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Which process of which machine, so that it can be told whether it is still there. Pids are given again; start times are not. */
export interface ProcessIdentity {
  /** The boot of the machine and the name space of pids: where else a pid would mean another process. */
  readonly place: string;
  readonly pid: number;
  /** In ticks since the boot; empty where the system does not say. */
  readonly startTime: string;
}

let own: ProcessIdentity | undefined;

/** Who we are. */
export function ownIdentity(): ProcessIdentity {
  own ??= { place: ownPlace(), pid: process.pid, startTime: statusOf(process.pid)?.startTime ?? '' };
  return own;
}

/** Whether a process runs; `undefined` for one of another machine, container or boot, of which we cannot know. */
export function isRunning(identity: ProcessIdentity): boolean | undefined {
  if (identity.place !== ownIdentity().place) return undefined;
  const status = statusOf(identity.pid);
  if (status !== undefined) return status.startTime === identity.startTime && !status.isZombie;
  return identity.startTime === '' && acceptsSignals(identity.pid);
}

function ownPlace(): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname(); // not Linux
  }
}

/** Fields 3 and 22 of `/proc/<pid>/stat`; `undefined` when there is no such process. */
function statusOf(pid: number): { isZombie: boolean; startTime: string } | undefined {
  try {
    // The name of the program, in parentheses, may have spaces and parentheses itself.
    const [state, ...fields] = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return { isZombie: state === 'Z', startTime: fields[18] ?? '' };
  } catch {
    return undefined;
  }
}

function acceptsSignals(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
