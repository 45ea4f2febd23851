import { readFileSync } from 'node:fs';
import { WITHOUT_WAITING } from '#base/files/without-waiting';
import { systemErrorCode } from '#base/go/system-error';
import { resolvePath } from '#base/normalize-path';

/** git's limit of nested alternates. */
const MAX_DEPTH = 5;

/**
 * Returns the lines of an alternates file that name an object directory, without empty lines and
 * comments. Like Gitaly, it accepts lines that end in CR LF. For git, the CR belongs to the path.
 */
export function alternateLines(text: string): string[] {
  return directoriesIn(linesOf(text).map((line) => line.replace(/\r$/, '')));
}

/** git reads no further than a NUL, with which a crash of the machine may fill the file. */
function linesOf(text: string): string[] {
  const end = text.indexOf('\0');
  return (end === -1 ? text : text.slice(0, end)).split('\n');
}

function directoriesIn(lines: readonly string[]): string[] {
  return lines.filter((line) => line !== '' && !line.startsWith('#'));
}

/** Returns the path of the file that lists the alternates of an object directory. */
export function alternatesFileOf(objectDirectory: string): string {
  return `${objectDirectory}/info/alternates`;
}

/**
 * Reads the `info/alternates` of an object directory as git does: absolute paths. Quoted ones are
 * not decoded.
 *
 * @throws the system's error, unless there is no such file.
 */
export function readAlternatesOf(objectDirectory: string): string[] {
  try {
    const text = readFileSync(alternatesFileOf(objectDirectory), {
      encoding: 'utf8',
      flag: WITHOUT_WAITING,
    });
    return directoriesIn(linesOf(text)).map((line) => resolvePath(objectDirectory, line));
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/**
 * Returns object directories together with those in their `info/alternates`, absolute, each once,
 * in git's search order.
 *
 * @param alternatesOf Returns what the file of a directory names. By default, an unreadable file
 *   names none.
 */
export function withAlternates(
  objectDirectories: readonly string[],
  alternatesOf: (objectDirectory: string) => readonly string[] = readableAlternatesOf,
): string[] {
  const all = new Set(objectDirectories);
  let level: readonly string[] = objectDirectories;
  for (let depth = 0; depth <= MAX_DEPTH && level.length > 0; depth++) {
    level = level.flatMap(alternatesOf).filter((directory) => !all.has(directory));
    for (const directory of level) all.add(directory);
  }
  return [...all];
}

/** Reads alternates as {@link readAlternatesOf} does; none of an unreadable file. */
export function readableAlternatesOf(objectDirectory: string): string[] {
  try {
    return readAlternatesOf(objectDirectory);
  } catch (error) {
    // git reports other errors when it reads the file.
    if (systemErrorCode(error) === undefined) throw error;
    return [];
  }
}
