import { readFileSync } from 'node:fs';
import { systemErrorCode } from '#base/system-error';
import type { GitRepository } from '../repository.ts';

/** The commits whose parents are others than they say, with those parents: `info/grafts`, and `shallow`, where the history is cut off. */
export function readGrafts({ path }: GitRepository): ReadonlyMap<string, readonly string[]> {
  const grafts = new Map<string, readonly string[]>();
  for (const line of linesOf(`${path}/info/grafts`)) {
    const [oid, ...parents] = line.split(' ');
    if (oid !== undefined && isOid(oid)) grafts.set(oid, parents.filter(isOid));
  }
  for (const oid of linesOf(`${path}/shallow`)) if (isOid(oid)) grafts.set(oid, []);
  return grafts;
}

function isOid(word: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(word);
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'latin1').split(/\r?\n/);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
