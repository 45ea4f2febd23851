import { readFileSync, statSync } from 'node:fs';
import { WITHOUT_WAITING } from '#base/files/without-waiting';
import type { CommandRepository } from '#git/command/command-repository';
import { FallBackToGit } from '#git/command/in-process';
import { isOid } from '#git/names/object-id';

/** Longer files are left to git: 25,000 commits. */
const MAX_BYTES = 1024 * 1024;

/**
 * Returns the commits where the history of a shallow repository ends; none if it is not shallow.
 *
 * @throws {FallBackToGit} for lines that git does not write: it refuses most of them, in every
 *   command that reads a commit; the system's error.
 */
export function readShallowFile({ path, objectFormat }: CommandRepository): string[] {
  const file = `${path}/shallow`;
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return [];
  if (stats.size > MAX_BYTES) throw new FallBackToGit('the list of shallow commits is too long');
  const lines = readFileSync(file, { encoding: 'latin1', flag: WITHOUT_WAITING }).split('\n');
  // git refuses an empty line.
  if (lines.at(-1) === '') lines.pop();
  if (!lines.every((line) => isOid(line, objectFormat)))
    throw new FallBackToGit('the list of shallow commits is damaged');
  return lines;
}
