import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { makeOneDirectory } from '#base/files/make-directory';
import { syncPath } from '#base/files/sync-path';
import { entryNamesIn } from '#base/files/typed-entries';
import { NO_HEAD } from '#git/refs/storage/reftable/stacks';
import { readFormat, type StoredBackend } from '#git/repository-files/repository-format';

/** Directories in which git prepares references of another format. */
export const REFERENCE_DRAFT = /^ref_migration\.[A-Za-z0-9]{6}$/;

/**
 * File in a draft with the target format. While it exists, files of that format may be in the
 * repository.
 */
const JOURNAL = 'target';
/** Contents of a file that git writes for programs that know only the files format. */
const NO_BRANCHES = 'this repository uses the reftable format\n';

/** Records that the files of a draft are about to be moved into the repository. */
export async function beginMoves(draft: string, target: StoredBackend): Promise<void> {
  await writeFile(`${draft}/${JOURNAL}`, target);
  await syncPath(`${draft}/${JOURNAL}`);
  await syncPath(draft);
}

/**
 * Moves the references of a draft into the repository, where git does not read them yet. Between
 * any two steps the repository has all its references in its own format.
 */
export async function moveReferences(
  repository: string,
  draft: string,
  target: StoredBackend,
): Promise<void> {
  if (target === 'reftable') {
    await removeTables(repository);
    await rename(`${draft}/reftable`, `${repository}/reftable`);
  } else {
    await emptyReferences(repository);
    for (const name of await entryNamesIn(`${draft}/refs`))
      await rename(`${draft}/refs/${name}`, `${repository}/refs/${name}`);
    await makeOneDirectory(`${repository}/refs/heads`);
    await rm(`${repository}/packed-refs`, { force: true });
    await rm(`${repository}/logs`, { recursive: true, force: true });
    // packed-refs, HEAD, other references outside refs/, and logs.
    for (const name of await entryNamesIn(draft))
      if (!['refs', JOURNAL, 'config'].includes(name))
        await rename(`${draft}/${name}`, `${repository}/${name}`);
    await syncPath(`${repository}/refs`);
  }
  await syncPath(repository);
}

/**
 * Ends a migration: removes the files of the format that the repository does not have, and the
 * draft. Whether the migration was complete or its process died, all references stay.
 */
export async function endMigration(repository: string, draft: string): Promise<void> {
  const target = await readFile(`${draft}/${JOURNAL}`, 'utf8').catch(ignoreMissing);
  if (target === 'files' || target === 'reftable') {
    const backend = readFormat(repository).referenceBackend;
    if (backend === 'files') await removeTables(repository);
    if (backend === 'reftable') await removeReferenceFiles(repository, draft);
    await syncPath(repository);
  }
  await rm(draft, { recursive: true, force: true });
}

async function removeTables(repository: string): Promise<void> {
  await rm(`${repository}/reftable`, { recursive: true, force: true });
}

async function removeReferenceFiles(repository: string, draft: string): Promise<void> {
  await writeFile(`${draft}/HEAD`, NO_HEAD);
  await rename(`${draft}/HEAD`, `${repository}/HEAD`);
  await rm(`${repository}/packed-refs`, { force: true });
  await rm(`${repository}/logs`, { recursive: true, force: true });
  await emptyReferences(repository);
  await writeFile(`${repository}/refs/heads`, NO_BRANCHES);
}

/** Empties the directory of references. It has to stay: without it, git finds no repository. */
async function emptyReferences(repository: string): Promise<void> {
  for (const name of await entryNamesIn(`${repository}/refs`))
    await rm(`${repository}/refs/${name}`, { recursive: true, force: true });
}
