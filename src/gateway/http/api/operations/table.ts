import type { ApiOperation } from '../operation.ts';
import { createCommit, listCommits, readCommit } from './commits.ts';
import { blameFile, listTree, readArchive, readFile, searchFiles, writeFile } from './files.ts';
import { checkMerge, cherryPick, commitPatch, compare, merge, rebase, revert } from './merging.ts';
import {
  createReference,
  listReferences,
  moveReference,
  readOneReference,
  removeReference,
} from './references.ts';
import {
  createRepository,
  forkRepository,
  listRepositories,
  readRepository,
  removeRepository,
  renameRepository,
  setLifetime,
} from './repositories.ts';

/** All operations: routes, checks, documents and tests are made of this table. */
export const OPERATIONS: readonly ApiOperation[] = [
  ...[listRepositories, createRepository, readRepository, renameRepository, removeRepository],
  ...[forkRepository, setLifetime],
  ...[listReferences, readOneReference, createReference, moveReference, removeReference],
  ...[listCommits, readCommit, createCommit, commitPatch, compare],
  ...[listTree, readFile, writeFile, searchFiles, blameFile, readArchive],
  ...[checkMerge, merge, rebase, revert, cherryPick],
];
