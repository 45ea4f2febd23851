import { readFile, stat } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { quote } from '#base/go/quote';
import { isTableName, TABLES_LIST } from '#git/refs/storage/reftable/stacks';
import { readAlternates } from '#storage/alternates';
import { FULL_REPACK_TIMESTAMP } from '#storage/lifecycle/create-repository';
import { isPoolPath } from '#storage/pool-path';
import type { Repository } from '#storage/repository';
import { type CommitGraphInfo, readCommitGraphInfo } from '#storage/statistics/commit-graph';
import { countLooseObjects, type LooseObjects } from '#storage/statistics/loose-objects';
import { countPackfiles, type Packfiles } from '#storage/statistics/packfiles';
import { countReferences } from '#storage/statistics/references';

export type ReferencesState =
  | { readonly backend: 'files'; readonly looseCount: number; readonly packedSizeBytes: number }
  /** Sizes in bytes, the oldest table first. */
  | { readonly backend: 'reftable'; readonly tableSizesBytes: readonly number[] }
  | { readonly backend: 'other' };

/** Everything on which decisions about maintenance depend; without the objects of its pool. */
export interface RepositoryState {
  readonly isPool: boolean;
  readonly looseObjects: LooseObjects;
  readonly packfiles: Packfiles;
  readonly references: ReferencesState;
  readonly commitGraph: CommitGraphInfo | undefined;
  readonly alternateCount: number;
  /** Milliseconds since 1970, as the next one; `undefined` without an alternates file. */
  readonly alternatesModifiedMs: number | undefined;
  /** `undefined` if none is known. */
  readonly lastFullRepackMs: number | undefined;
}

/** Measures a repository by its files, without starting git. */
export async function measureRepository(repository: Repository): Promise<RepositoryState> {
  const { path } = repository;
  const [looseObjects, packfiles, references, commitGraph, alternates, lastFullRepackMs] = await Promise.all([
    countLooseObjects(path),
    countPackfiles(path),
    measureReferences(repository),
    readCommitGraphInfo(path),
    readAlternates(path),
    modifiedMs(`${path}/${FULL_REPACK_TIMESTAMP}`),
  ]);
  return {
    isPool: isPoolPath(repository.relativePath),
    looseObjects,
    packfiles,
    references,
    commitGraph,
    alternateCount: alternates?.objectDirectories.length ?? 0,
    alternatesModifiedMs: alternates?.lastModifiedMs,
    lastFullRepackMs,
  };
}

async function measureReferences({ path, referenceBackend }: Repository): Promise<ReferencesState> {
  switch (referenceBackend) {
    case 'files': {
      const { looseCount, packedSize } = await countReferences(path);
      return { backend: 'files', looseCount, packedSizeBytes: packedSize };
    }
    case 'reftable': {
      const tables = (await readFile(`${path}/${TABLES_LIST}`, 'latin1')).split('\n').filter(Boolean);
      // Git sees no references then, so that maintenance would drop objects in use.
      const malformed = tables.find((name) => !isTableName(name));
      if (malformed !== undefined) throw new Error(`reftable name ${quote(malformed)} malformed`);
      const sizes = await Promise.all(tables.map((name) => sizeOf(`${path}/reftable/${name}`)));
      return { backend: 'reftable', tableSizesBytes: sizes };
    }
    case 'other':
      return { backend: 'other' };
  }
}

/** A table that was compacted in the meantime has no size. */
async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(ignoreMissing))?.size ?? 0;
}

async function modifiedMs(file: string): Promise<number | undefined> {
  return (await stat(file).catch(ignoreMissing))?.mtimeMs;
}
