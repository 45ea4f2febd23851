import { readFileSync } from 'node:fs';
import { systemErrorCode } from '#base/go/system-error';
import { isOid } from '../objects/object-id.ts';
import type { GitRepository } from '../repository.ts';

/**
 * Returns the commits with replaced parents: from `info/grafts`, and from `shallow`, where the
 * history is cut off.
 */
export function readGrafts({ path }: GitRepository): ReadonlyMap<string, readonly string[]> {
  const grafts = new Map<string, readonly string[]>();
  for (const line of linesOf(`${path}/info/grafts`)) {
    const [oid, ...parents] = line.split(' ');
    if (oid !== undefined && isOid(oid))
      grafts.set(
        oid,
        parents.filter((parent) => isOid(parent)),
      );
  }
  for (const oid of linesOf(`${path}/shallow`)) if (isOid(oid)) grafts.set(oid, []);
  return grafts;
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'latin1').split(/\r?\n/);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
