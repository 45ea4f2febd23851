import { readFileSync } from 'node:fs';
import { WITHOUT_WAITING } from '#base/files/without-waiting';
import { systemErrorCode } from '#base/go/system-error';
import { GIT_SPACE, trimmedEnd } from '#base/trim';
import { FallBackToGit } from '#git/command/in-process';
import { OID_SOURCE } from '#git/names/object-id';
import { readShallowFile } from '#git/objects/database/shallow-file';
import type { GitRepository } from '#git/repository';

const GRAFT = new RegExp(`^${OID_SOURCE}(?:[ \t\r]${OID_SOURCE})*$`);

/** Replaced parents by commit. */
export type Grafts = ReadonlyMap<string, readonly string[]>;

/**
 * Returns the commits with replaced parents: from `info/grafts`, and from `shallow`, where the
 * history is cut off.
 *
 * @throws {FallBackToGit} for lines that git does not write in `shallow`, or ignores in
 *   `info/grafts`, and for a second graft of a commit.
 */
export function readGrafts(repository: GitRepository): Grafts {
  const grafts = new Map<string, readonly string[]>();
  for (const line of linesOf(`${repository.path}/info/grafts`)) {
    const text = trimmedEnd(line, GIT_SPACE);
    if (text === '' || text.startsWith('#')) continue;
    const [oid = '', ...parents] = text.split(/[ \t\r]/);
    if (!GRAFT.test(text) || grafts.has(oid)) throw new FallBackToGit('a graft is unusual');
    grafts.set(oid, parents);
  }
  for (const oid of readShallowFile(repository)) grafts.set(oid, []);
  return grafts;
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, { encoding: 'latin1', flag: WITHOUT_WAITING }).split('\n');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
