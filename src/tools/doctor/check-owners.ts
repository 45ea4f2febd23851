import { lstat, opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '#base/go/system-error';
import { type Finding, failure, NOT_ALLOWED, ok, warning } from './finding.ts';

/** Limits of one check: a storage may contain millions of files. */
const MAX_ENTRIES = 200_000;
const MAX_TIME_MS = 10_000;
/** Paths that are named in one finding. */
const MAX_PATHS = 5;

/** Entries of a directory that its owner did not make, or that this process may not read. */
interface Strangers {
  readonly foreign: string[];
  readonly unusable: string[];
  readonly unreadable: string[];
  looked: number;
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Finds files below a directory that belong to another user than the directory itself, as a command
 * of root leaves them, and directories that this process may not read. Files in a directory of root
 * are not compared: a server of root can use all of them.
 */
export async function checkOwners(subject: string, directory: string): Promise<Finding[]> {
  const owner = await stat(directory);
  const found: Strangers = { foreign: [], unusable: [], unreadable: [], looked: 0 };
  const isComplete = await look(directory, owner, found, Date.now() + MAX_TIME_MS);
  const findings = [
    ...foreignFinding(subject, directory, owner, found),
    ...unreadableFinding(subject, found.unreadable),
  ];
  if (findings.length > 0) return findings;
  const part = isComplete ? 'all files belong' : `the first ${found.looked} files belong`;
  return [ok(subject, `${part} to the owner of ${directory}`)];
}

function foreignFinding(
  subject: string,
  directory: string,
  { uid, gid }: Owner,
  { foreign, unusable }: Strangers,
): Finding[] {
  if (foreign.length === 0) return [];
  const fix = `chown -R ${uid}:${gid} ${directory}`;
  const text = `belong to another user than ${directory} (id ${uid})`;
  // A readable file works until it must be changed.
  return unusable.length === 0
    ? [warning(subject, `${some(foreign)} ${text}`, fix)]
    : [failure(subject, `${some(unusable)} ${text}, who cannot use them`, fix)];
}

function unreadableFinding(subject: string, unreadable: readonly string[]): Finding[] {
  if (unreadable.length === 0) return [];
  return [failure(subject, `${some(unreadable)} cannot be read: permission denied`, NOT_ALLOWED)];
}

function some(paths: readonly string[]): string {
  const more = paths.length > MAX_PATHS ? ` and ${paths.length - MAX_PATHS} more` : '';
  return `${paths.slice(0, MAX_PATHS).join(', ')}${more}`;
}

/** Looks through a tree, not following links. Resolves to whether it saw all of it. */
async function look(directory: string, owner: Owner, found: Strangers, untilMs: number): Promise<boolean> {
  for await (const { name, isDirectory } of entriesOf(directory, found)) {
    if (++found.looked > MAX_ENTRIES || Date.now() > untilMs) return false;
    const path = join(directory, name);
    const stats = await lstat(path).catch(ignoreGone);
    if (stats === undefined) continue;
    if (owner.uid !== 0 && stats.uid !== owner.uid) {
      found.foreign.push(path);
      if (!isUsable(stats, isDirectory, owner)) found.unusable.push(path);
      if (isDirectory) continue; // the command mends all of it
    }
    if (isDirectory && !(await look(path, owner, found, untilMs))) return false;
  }
  return true;
}

async function* entriesOf(directory: string, { unreadable }: Strangers) {
  try {
    for await (const entry of await opendir(directory))
      yield { name: entry.name, isDirectory: entry.isDirectory() };
  } catch (error) {
    if (systemErrorCode(error) === 'EACCES') unreadable.push(directory);
    else ignoreGone(error);
  }
}

/** Reports whether the mode gives the owner of the storage what a server needs. */
function isUsable(
  { mode, gid }: { readonly mode: number; readonly gid: number },
  isDirectory: boolean,
  owner: Owner,
): boolean {
  const needed = isDirectory ? 0o7 : 0o4;
  const given = gid === owner.gid ? mode >> 3 : mode;
  return (given & needed) === needed;
}

/** A running server can remove files during the check. */
function ignoreGone(error: unknown): undefined {
  const code = systemErrorCode(error);
  if (code === undefined || !['ENOENT', 'ENOTDIR', 'EACCES'].includes(code)) throw error;
  return undefined;
}
