import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { systemErrorCode } from '#base/go/system-error';

/** git's limit of nested alternates. */
const MAX_DEPTH = 5;

/**
 * Returns the lines of an alternates file that name an object directory, without empty lines and
 * comments.
 */
export function alternateLines(text: string): string[] {
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  return lines.filter((line) => line !== '' && !line.startsWith('#'));
}

/**
 * Returns object directories together with those in their `info/alternates`, absolute, each once,
 * in git's search order. An unreadable file names none.
 */
export function withAlternates(objectDirectories: readonly string[]): string[] {
  const all = new Set(objectDirectories);
  let level: readonly string[] = objectDirectories;
  for (let depth = 0; depth <= MAX_DEPTH && level.length > 0; depth++) {
    level = level.flatMap(listed).filter((directory) => !all.has(directory));
    for (const directory of level) all.add(directory);
  }
  return [...all];
}

function listed(objectDirectory: string): string[] {
  const lines = alternateLines(read(`${objectDirectory}/info/alternates`));
  return lines.map((line) => posix.resolve(objectDirectory, line));
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // git reports other errors when it reads the file.
    if (systemErrorCode(error) === undefined) throw error;
    return '';
  }
}
