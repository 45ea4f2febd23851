import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  type Stats,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { systemErrorCode } from '#base/go/system-error';

/**
 * Makes a directory equal to another: names, contents, modes, times, links. A file of the same size
 * and time counts as equal.
 *
 * @param isOwn names in the top directory that both keep
 */
export function mirror(
  from: string | Buffer,
  to: string | Buffer,
  isOwn: (name: string) => boolean = () => false,
): void {
  mkdirSync(to, { recursive: true });
  const wanted = namesIn(from).filter((name) => !isOwn(name.toString()));
  for (const name of namesIn(to))
    if (!isOwn(name.toString()) && !wanted.some((other) => other.equals(name))) remove(within(to, name));
  for (const name of wanted) mirrorEntry(within(from, name), within(to, name));
}

function mirrorEntry(from: Buffer, to: Buffer): void {
  const source = statOf(from);
  const target = statOf(to);
  if (source === undefined) return; // removed meanwhile
  if (target !== undefined && isEqual(from, source, to, target)) return;
  if (source.isSocket()) return;
  if (source.isDirectory()) {
    if (target?.isDirectory() === false) remove(to);
    mirror(from, to);
    chmodSync(to, source.mode);
    utimesSync(to, source.atime, source.mtime);
    return;
  }
  remove(to);
  try {
    copyEntry(from, source, to);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error; // a test's git removed it meanwhile
  }
}

function copyEntry(from: Buffer, source: Stats, to: Buffer): void {
  if (source.isSymbolicLink()) {
    symlinkSync(readlinkSync(from, 'buffer'), to);
    return;
  }
  copyFileSync(from, to);
  chmodSync(to, source.mode);
  utimesSync(to, source.atime, source.mtime);
}

function isEqual(from: Buffer, source: Stats, to: Buffer, target: Stats): boolean {
  if (source.isSymbolicLink() && target.isSymbolicLink())
    return readlinkSync(from, 'buffer').equals(readlinkSync(to, 'buffer'));
  return (
    source.isFile() &&
    target.isFile() &&
    source.size === target.size &&
    source.mode === target.mode &&
    // A copy has the time in microseconds.
    Math.abs(source.mtimeMs - target.mtimeMs) < 0.01
  );
}

/** Names are bytes: some references have others than UTF-8. */
function namesIn(directory: string | Buffer): Buffer[] {
  try {
    return readdirSync(directory, 'buffer');
  } catch {
    return []; // missing, or removed meanwhile
  }
}

function within(directory: string | Buffer, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(directory), Buffer.from('/'), name]);
}

function remove(path: Buffer): void {
  rmSync(path, { recursive: true, force: true });
}

function statOf(path: Buffer): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}
