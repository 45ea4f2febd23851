import type { Operation } from '../operation.ts';
import { createCommit, listCommits, readCommit } from './commits.ts';

/** All operations: routes, checks, documents and tests are made of this table. */
export const OPERATIONS: readonly Operation[] = [listCommits, readCommit, createCommit];
