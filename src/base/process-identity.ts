import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { attempt } from './attempt.ts';
import { JsonFields } from './json-fields.ts';

/**
 * Identity of a process on a machine, for checking whether it still runs. Pids are reused; start
 * times are not.
 */
export interface ProcessIdentity {
  /**
   * The boot of the machine and the pid namespace: elsewhere the pid would identify another
   * process.
   */
  readonly place: string;
  readonly pid: number;
  /** Start time in ticks since the boot; empty if the system does not provide it. */
  readonly startTime: string;
}

let own: ProcessIdentity | undefined;
let suffix: string | undefined;

export function ownIdentity(): ProcessIdentity {
  own ??= { place: ownPlace(), pid: process.pid, startTime: statusOf(process.pid)?.startTime ?? '' };
  return own;
}

/**
 * Returns the suffix of names of files and directories of this process, by which other processes
 * determine with {@link ownerOf} whether they are still used.
 */
export function ownerSuffix(): string {
  if (suffix === undefined) {
    const { place, pid, startTime } = ownIdentity();
    suffix = `.${shortPlace(place)}.${pid}.${startTime}`;
  }
  return suffix;
}

/** Returns the suffix of names that {@link ownerOf} takes for those of a process that has ended. */
export function deadOwnerSuffix(pid: number): string {
  return `.${shortPlace(ownIdentity().place)}.${pid}.0`; // no process starts with the machine
}

/**
 * Determines the owner of a file by its name. `unknown` is a process of another machine, container
 * or boot, and of a name without {@link ownerSuffix}.
 */
export function ownerOf(name: string): 'running' | 'dead' | 'unknown' {
  if (name.endsWith(ownerSuffix())) return 'running';
  const [, short, pid, startTime] = OWNER.exec(name) ?? [];
  const { place } = ownIdentity();
  if (pid === undefined || startTime === undefined || short !== shortPlace(place)) return 'unknown';
  return isRunning({ place, pid: Number(pid), startTime }) === true ? 'running' : 'dead';
}

const OWNER = /\.([0-9a-f]{8})\.(\d+)\.(\d*)$/;

function shortPlace(place: string): string {
  return createHash('sha1').update(place).digest('hex').slice(0, 8);
}

/**
 * Reports whether a process runs; `undefined` for one of another machine, container or boot, of
 * which we cannot know.
 */
export function isRunning(identity: ProcessIdentity): boolean | undefined {
  if (identity.place !== ownIdentity().place) return undefined;
  const status = statusOf(identity.pid);
  if (status !== undefined) return status.startTime === identity.startTime && !status.hasEnded;
  return identity.startTime === '' && isProcessAlive(identity.pid);
}

/** Reads an identity that was written as JSON; `undefined` for any other text. */
export function parseIdentity(content: string): ProcessIdentity | undefined {
  const fields = JsonFields.parse(content);
  const [place, pid, startTime] = [fields?.text('place'), fields?.number('pid'), fields?.text('startTime')];
  return place === undefined || pid === undefined || startTime === undefined
    ? undefined
    : { place, pid, startTime };
}

/** Returns what identifies the boot of the machine; `undefined` if the system does not provide it. */
export function bootId(): string | undefined {
  return attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim());
}

function ownPlace(): string {
  const [boot, namespace] = [bootId(), attempt(() => readlinkSync('/proc/self/ns/pid'))];
  return boot === undefined || namespace === undefined ? hostname() : `${boot} ${namespace}`;
}

/**
 * Reports whether a process has ended that its parent has not collected. `undefined` if there is no
 * such process, or the system does not tell.
 */
export function isUncollected(pid: number): boolean | undefined {
  return statusOf(pid)?.hasEnded;
}

/**
 * Parses fields 3, 20 and 22 of `/proc/<pid>/stat`; `undefined` if there is no such process. One
 * whose main thread has ended has the state Z, too: it works until all of its threads have ended.
 */
function statusOf(pid: number): { hasEnded: boolean; startTime: string } | undefined {
  try {
    // The program's name, in parentheses, may contain spaces and parentheses itself.
    const [state, ...fields] = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return { hasEnded: state === 'Z' && Number(fields[16]) <= 1, startTime: fields[18] ?? '' };
  } catch {
    return undefined;
  }
}

/** Reports whether a process of this user, or of root for root, runs. */
export function isProcessAlive(pid: number): boolean {
  // ESRCH: no such process. EPERM: a process of another user, which is not the one that is meant.
  return attempt(() => process.kill(pid, 0)) ?? false;
}
