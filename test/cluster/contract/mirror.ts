import {
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  type Stats,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { systemErrorCode } from '#base/go/system-error';

/**
 * Makes a directory equal to another: names, contents, modes, times, links. A file of the same size
 * and time counts as equal.
 *
 * @param isOwn names in the top directory that both keep
 */
export function mirror(from: string, to: string, isOwn: (name: string) => boolean = () => false): void {
  mkdirSync(to, { recursive: true });
  const wanted = new Set(namesIn(from).filter((name) => !isOwn(name)));
  for (const name of namesIn(to))
    if (!isOwn(name) && !wanted.has(name)) rmSync(join(to, name), { recursive: true, force: true });
  for (const name of wanted) mirrorEntry(join(from, name), join(to, name));
}

function mirrorEntry(from: string, to: string): void {
  const source = statOf(from);
  const target = statOf(to);
  if (source === undefined) return; // removed meanwhile
  if (target !== undefined && isEqual(from, source, to, target)) return;
  if (source.isDirectory() && target?.isDirectory() && source.mode === target.mode) {
    mirror(from, to);
    utimesSync(to, source.atime, source.mtime);
    return;
  }
  if (source.isSocket()) return;
  rmSync(to, { recursive: true, force: true });
  try {
    cpSync(from, to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error; // a test's git removed it meanwhile
  }
}

function isEqual(from: string, source: Stats, to: string, target: Stats): boolean {
  if (source.isSymbolicLink() && target.isSymbolicLink()) return readlinkSync(from) === readlinkSync(to);
  return (
    source.isFile() &&
    target.isFile() &&
    source.size === target.size &&
    source.mode === target.mode &&
    // A copy has the time in microseconds.
    Math.abs(source.mtimeMs - target.mtimeMs) < 0.01
  );
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // missing, or removed meanwhile
  }
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}
