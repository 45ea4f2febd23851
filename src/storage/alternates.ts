import { readFile, stat } from 'node:fs/promises';
import { wrap } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { resolvePath } from '#base/normalize-path';
import { alternateLines } from '#git/repository-files/alternates-file';

/** The file that names further object directories of a repository. */
export interface Alternates {
  /** Lines of the file, without empty lines and comments. */
  readonly objectDirectories: readonly string[];
  /** Milliseconds since 1970. */
  readonly lastModifiedMs: number;
}

/** Reads `objects/info/alternates`. @returns `undefined` if the file is missing. */
export async function readAlternates(repositoryPath: string): Promise<Alternates | undefined> {
  const file = `${repositoryPath}/objects/info/alternates`;
  try {
    const [text, stats] = await Promise.all([readFile(file, 'utf8'), stat(file)]);
    return { objectDirectories: alternateLines(text), lastModifiedMs: stats.mtimeMs };
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw wrap(error, 'read alternates file');
  }
}

/**
 * Returns the absolute path of an object directory in an alternates file: relative paths start at
 * the repository's own.
 */
export function alternateDirectory(repositoryPath: string, objectDirectory: string): string {
  return resolvePath(`${repositoryPath}/objects`, objectDirectory);
}
