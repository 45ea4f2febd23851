import { readdir, readFile, unlink } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { updateReference } from '#domain/ref-update/update-reference';
import { objectIdProblem } from '#git/names/object-id';
import type { Repository } from '#storage/repository';

/**
 * Mends references below `refs/keep-around` that a crash left empty or that name a missing object:
 * each is named by the object that it keeps.
 */
export async function mendKeepAroundReferences(repository: Repository, signal: AbortSignal): Promise<void> {
  const directory = `${repository.path}/refs/keep-around`;
  const entries = (await readdir(directory, { withFileTypes: true }).catch(ignoreMissing)) ?? [];
  for (const entry of entries) {
    signal.throwIfAborted();
    const { name } = entry;
    if (!entry.isFile() || !isObjectId(repository, name)) continue;
    const value = (await readFile(`${directory}/${name}`, 'latin1').catch(ignoreMissing))?.trim();
    if (value === undefined || (await exists(repository, value, signal))) continue;
    await unlink(`${directory}/${name}`).catch(ignoreMissing);
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
