import { readFile, rm } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { replaceFile } from '#base/files/replace-file';
import { syncPath } from '#base/files/sync-path';
import { JsonFields } from '#base/json-fields';

/** Name in the repository, so that a repository which replaces another one does not inherit its end. */
const FILE = 'gitaly-ts-lifetimes.json';

/** The ends of a repository and its references, in milliseconds since 1970. */
export interface Lifetimes {
  readonly repositoryMs: number | undefined;
  /** Ends by full name, one character per byte. */
  readonly referencesMs: ReadonlyMap<string, number>;
}

/** Returns the ends that are set for a repository. One without the file has none. */
export async function readLifetimes(repositoryPath: string): Promise<Lifetimes> {
  const text = await readFile(`${repositoryPath}/${FILE}`, 'utf8').catch(ignoreMissing);
  const fields = text === undefined ? undefined : JsonFields.parse(text);
  if (text !== undefined && fields === undefined)
    throw new Error(`${repositoryPath}/${FILE} is damaged: remove it, and set the lifetimes again`);
  const references = fields?.object('references')?.entries() ?? [];
  return {
    repositoryMs: fields?.number('repository'),
    referencesMs: new Map(references.flatMap(([name, ms]) => (typeof ms === 'number' ? [[name, ms]] : []))),
  };
}

/** Replaces the file, durably. The caller holds the lock of the repository. */
export async function writeLifetimes(
  repositoryPath: string,
  { repositoryMs, referencesMs }: Lifetimes,
): Promise<void> {
  const file = `${repositoryPath}/${FILE}`;
  if (repositoryMs === undefined && referencesMs.size === 0) {
    await rm(file, { force: true });
    await syncPath(repositoryPath);
  } else {
    const json = JSON.stringify({ repository: repositoryMs, references: Object.fromEntries(referencesMs) });
    await replaceFile(file, json, { durable: true });
  }
}

/** Returns the earliest end; `undefined` without any. */
export function earliest({ repositoryMs, referencesMs }: Lifetimes): number | undefined {
  let first = repositoryMs ?? Number.POSITIVE_INFINITY;
  for (const ms of referencesMs.values()) first = Math.min(first, ms);
  return first === Number.POSITIVE_INFINITY ? undefined : first;
}
