import { stat } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { entriesOf } from './directory-size.ts';

/** Storage of references in a repository with the files backend. */
export interface ReferencesInfo {
  /** Number of files below `refs/`, including locks. */
  readonly looseCount: number;
  /** Size of `packed-refs` in bytes, 0 if there is none. */
  readonly packedSize: number;
}

/** Counts the references of a repository as files, without reading them. */
export async function countReferences(repositoryPath: string): Promise<ReferencesInfo> {
  let looseCount = 0;
  const pending = [`${repositoryPath}/refs`];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const entry of await entriesOf(directory)) {
      if (entry.isDirectory()) pending.push(`${directory}/${entry.name}`);
      else looseCount++;
    }
  }
  return { looseCount, packedSize: await sizeOf(`${repositoryPath}/packed-refs`) };
}

async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(ignoreMissing))?.size ?? 0;
}
