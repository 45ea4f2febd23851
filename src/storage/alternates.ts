import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { wrap } from '#base/gitaly-error';
import { systemErrorCode } from '#base/system-error';

/** The file that names further object directories of a repository. */
export interface Alternates {
  /** As they stand in the file, without empty lines and comments. */
  readonly objectDirectories: readonly string[];
  /** Milliseconds since 1970. */
  readonly lastModifiedMs: number;
}

/** Reads `objects/info/alternates`. @returns `undefined` when there is none. */
export async function readAlternates(repositoryPath: string): Promise<Alternates | undefined> {
  const file = `${repositoryPath}/objects/info/alternates`;
  try {
    const [text, stats] = await Promise.all([readFile(file, 'utf8'), stat(file)]);
    const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
    return { objectDirectories: lines.filter((line) => line !== '' && !line.startsWith('#')), lastModifiedMs: stats.mtimeMs };
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw wrap(error, 'read alternates file');
  }
}

/** The absolute path of an object directory in an alternates file: relative ones start at the repository's own. */
export function alternateDirectory(repositoryPath: string, objectDirectory: string): string {
  return path.posix.resolve(repositoryPath, 'objects', objectDirectory);
}
