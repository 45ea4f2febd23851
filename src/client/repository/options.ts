import { checkNames, type NamesOf } from '#base/check-names';
import type { CallOptions } from '../call/call-types.ts';
import { CALL_NAMES } from '../call/check-call.ts';
import type { CommitOptions, MergeOptions, PickOptions } from './changes.ts';
import type { DiffOptions } from './comparisons.ts';
import type { FilesOptions } from './contents.ts';
import type { ForkOptions } from './fork.ts';
import type { LogOptions } from './history.ts';
import type { ExpireOptions } from './lifetime.ts';
import type { SetRulesOptions } from './settings.ts';
import type { TextOrBytes } from './values.ts';

/** Options of a new repository. */
export interface CreateOptions extends CallOptions {
  readonly defaultBranch?: TextOrBytes;
  readonly objectFormat?: 'sha1' | 'sha256';
  /** Time after which the server removes the repository, see {@link Repository.expire}. */
  readonly lifetimeSeconds?: number;
}

export interface DeleteBranchOptions extends CallOptions {
  /** Deletes the branch even if it is the default branch. */
  readonly allowDefault?: boolean;
}

export interface TagOptions extends CallOptions {
  /** Makes an annotated tag. */
  readonly message?: TextOrBytes;
}

const CREATE: NamesOf<CreateOptions> = {
  ...CALL_NAMES,
  defaultBranch: true,
  objectFormat: true,
  lifetimeSeconds: true,
};
const EXPIRE: NamesOf<ExpireOptions> = { ...CALL_NAMES, reference: true };
const FORK: NamesOf<ForkOptions> = {
  ...CALL_NAMES,
  branch: true,
  copy: true,
  lifetimeSeconds: true,
  rules: true,
  token: true,
};
const FILES: NamesOf<FilesOptions> = { ...CALL_NAMES, path: true, recursive: true, pageSize: true };
const LOG: NamesOf<LogOptions> = {
  ...CALL_NAMES,
  limit: true,
  skip: true,
  paths: true,
  author: true,
  after: true,
  before: true,
  messages: true,
  firstParent: true,
  noMerges: true,
  order: true,
};
const DIFF: NamesOf<DiffOptions> = { ...CALL_NAMES, paths: true };
const COMMIT: NamesOf<CommitOptions> = {
  ...CALL_NAMES,
  branch: true,
  message: true,
  files: true,
  actions: true,
  author: { name: true, email: true },
  start: { branch: true, oid: true },
  force: true,
  expectedOid: true,
};
const MERGE: NamesOf<MergeOptions> = {
  ...CALL_NAMES,
  source: true,
  into: true,
  message: true,
  expectedOid: true,
};
const PICK: NamesOf<PickOptions> = { ...CALL_NAMES, commit: true, onto: true, message: true };
const DELETE_BRANCH: NamesOf<DeleteBranchOptions> = { ...CALL_NAMES, allowDefault: true };
const SET_RULES: NamesOf<SetRulesOptions> = { ...CALL_NAMES, expected: true };
const TAG: NamesOf<TagOptions> = { ...CALL_NAMES, message: true };

const NAMES = {
  exists: CALL_NAMES,
  create: CREATE,
  expire: EXPIRE,
  remove: CALL_NAMES,
  fork: FORK,
  readFile: CALL_NAMES,
  readBytes: CALL_NAMES,
  openFile: CALL_NAMES,
  files: FILES,
  findCommit: CALL_NAMES,
  log: LOG,
  diff: DIFF,
  branches: CALL_NAMES,
  tags: CALL_NAMES,
  defaultBranch: CALL_NAMES,
  setDefaultBranch: CALL_NAMES,
  description: CALL_NAMES,
  setDescription: CALL_NAMES,
  rules: CALL_NAMES,
  setRules: SET_RULES,
  commit: COMMIT,
  merge: MERGE,
  cherryPick: PICK,
  revert: PICK,
  createBranch: CALL_NAMES,
  deleteBranch: DELETE_BRANCH,
  createTag: TAG,
  deleteTag: CALL_NAMES,
};

/** Refuses misspelt options of a function of `Repository`. @throws {TypeError} */
export function checkOptionNames(name: keyof typeof NAMES, options: object): void {
  checkNames(name, options, NAMES[name]);
}
