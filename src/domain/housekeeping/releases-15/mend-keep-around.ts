import { readdir, readFile, unlink } from 'node:fs/promises';
import { systemErrorCode } from '#base/go/system-error';
import { updateReference } from '#domain/ref-update/update-reference';
import { objectIdProblem } from '#git/objects/object-id';
import type { Repository } from '#storage/repository';

/**
 * Mends references below `refs/keep-around` that a crash left empty or that name a missing object:
 * each is named by the object that it keeps.
 */
export async function mendKeepAroundReferences(repository: Repository, signal: AbortSignal): Promise<void> {
  const directory = `${repository.path}/refs/keep-around`;
  for (const name of (await readdir(directory).catch(ifMissing)) ?? []) {
    signal.throwIfAborted();
    if (!isObjectId(repository, name)) continue;
    const value = (await readFile(`${directory}/${name}`, 'latin1').catch(ifMissing))?.trim();
    if (value === undefined || (await exists(repository, value, signal))) continue;
    await unlink(`${directory}/${name}`).catch(ifMissing);
    if (await exists(repository, name, signal)) {
      const change = { newOid: name };
      await updateReference(repository, `refs/keep-around/${name}`, change, { hooks: undefined, signal });
    }
  }
}

async function exists(repository: Repository, oid: string, signal: AbortSignal): Promise<boolean> {
  return (
    isObjectId(repository, oid) && (await repository.objects.info(Buffer.from(oid), { signal })) !== undefined
  );
}

function isObjectId({ objectFormat }: Repository, text: string): boolean {
  return objectIdProblem(Buffer.from(text), objectFormat) === undefined;
}

function ifMissing(error: unknown): undefined {
  if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(systemErrorCode(error) ?? '')) return undefined;
  throw error;
}
