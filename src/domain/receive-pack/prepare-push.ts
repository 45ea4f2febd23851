import { existsSync } from 'node:fs';
import { LoopSlice } from '#base/async/loop-turns';
import { sortInTurns } from '#base/async/sort-in-turns';
import { FallBackToGit } from '#git/command/in-process';
import type { HiddenRefs } from '#git/names/hidden-refs';
import { isZeroOid } from '#git/names/object-id';
import { trustedRefName } from '#git/names/ref-name';
import { isQuarantined } from '#git/repository-files/git-directory';
import { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import type { RelayedHook } from '../hooks/hooks-directories.ts';
import type { HeldInput } from './held-input.ts';
import type { Push } from './push.ts';
import { type PushRequest, readPushRequest } from './push-request.ts';
import type { PushSettings } from './push-settings.ts';
import { unpackPush } from './unpack-push.ts';

/** A push whose objects are in a quarantine. */
export interface PreparedPush {
  readonly request: PushRequest;
  readonly quarantine: Quarantine;
  /** Ids of the objects that the repository did not have. */
  readonly newOids: ReadonlySet<string>;
  /** Warnings of git about them, which the client gets. */
  readonly warnings: Buffer;
  /** The reference that HEAD names. */
  readonly head: string | undefined;
}

export interface PrepareOptions {
  readonly settings: PushSettings;
  readonly input: HeldInput;
  /** Drops the objects if it is disposed of. */
  readonly stack: AsyncDisposableStack;
}

/** Files with which git changes history, or the place of references. */
const UNUSUAL_FILES = ['shallow', 'info/grafts', 'worktrees'];

const UNUSUAL = new FallBackToGit('the repository is unusual');
const HIDDEN = new FallBackToGit('the reference is hidden');
const OTHER_VALUE = new FallBackToGit('the reference has another value');
const LOCKED = new FallBackToGit('the reference is locked');
const REFLOG = new FallBackToGit('the reference has a reflog');
const CONFLICT = new FallBackToGit('a reference of a directory exists');
const VOTED = new FallBackToGit('the nodes of a cluster vote on each reference');
const IN_EACH_OTHER = new FallBackToGit('a reference would be the directory of another');
export const UPDATE_HOOK = new FallBackToGit('a hook decides on each reference');
const REFTABLES = new FallBackToGit('the references are in reftables');

/**
 * Reads a push and unpacks its objects. Everything that git would refuse is left to git, so that it
 * reports the reason.
 *
 * @returns `nothing` if the client has nothing to push.
 * @throws {FallBackToGit} for everything that is not certain to be accepted by git up to here.
 */
export async function preparePush(
  push: Push,
  { settings, input, stack }: PrepareOptions,
): Promise<PreparedPush | 'nothing'> {
  const { repository, signal } = push;
  requirePlainRepository(repository);
  const { hidden, hooks, unpackOptions } = settings;
  const request = await readPushRequest(input, repository.objectFormat);
  if (request === 'nothing') return request;
  if (request.commands.length > 1) await requirePackable(push, request, hooks);
  await requirePlainChanges(push, request, hidden);
  const { symbolicTarget } = await repository.refs.head({ signal });
  const quarantine = stack.use(await Quarantine.createInObjects(repository));
  const unpacked = await unpackPush({ push, input, unpackOptions }, request, quarantine);
  return { ...unpacked, request, quarantine, head: symbolicTarget?.toString('latin1') };
}

function requirePlainRepository(repository: Repository): void {
  if (isQuarantined(repository) || repository.alternateObjectDirectories.length > 0) throw UNUSUAL;
  if (UNUSUAL_FILES.some((name) => existsSync(`${repository.path}/${name}`))) throw UNUSUAL;
}

/**
 * Checks that all references of a push can be created at once: git makes a transaction, a file and
 * a flush for each.
 */
async function requirePackable(
  { repository, transaction, signal }: Push,
  { commands }: PushRequest,
  hooks: ReadonlySet<RelayedHook>,
): Promise<void> {
  if (transaction !== undefined) throw VOTED;
  if (repository.referenceBackend !== 'files') throw REFTABLES;
  if (hooks.has('update')) throw UPDATE_HOOK;
  // Versions of git differ in which one of them they create. The names below one follow it.
  const paths = commands.map(({ reference }) => `${reference.toString('latin1')}/`);
  const sorted = await sortInTurns(paths, (one, other) => (one < other ? -1 : 1), signal);
  if (sorted.some((path, index) => sorted[index + 1]?.startsWith(path))) throw IN_EACH_OTHER;
}

/** Checks that the references have the expected values, and that no user may see them changing. */
async function requirePlainChanges(
  { repository, signal }: Push,
  { commands }: PushRequest,
  hidden: HiddenRefs,
): Promise<void> {
  const free = new Set<string>();
  const slice = new LoopSlice();
  for (const { reference, oldOid } of commands) {
    if (hidden.has(reference)) throw HIDDEN;
    const file = Buffer.concat([Buffer.from(`${repository.path}/`), reference, Buffer.from('.lock')]);
    if (existsSync(file)) throw LOCKED;
    if (repository.refs.mayLog(trustedRefName(reference))) throw REFLOG;
    const current = await repository.refs.read(reference, { signal });
    const isExpected = isZeroOid(oldOid) ? current === undefined : current?.oid === oldOid;
    if (!isExpected) throw OTHER_VALUE;
    if (current === undefined) await requireNoReferenceAbove(repository, reference.toString('latin1'), free);
    await slice.pause(signal);
  }
}

/**
 * git cannot create `a/b` while `a` exists. It notices the opposite when it takes the lock.
 *
 * @param free names that are known to be no references.
 */
async function requireNoReferenceAbove(
  repository: Repository,
  name: string,
  free: Set<string>,
): Promise<void> {
  const parts = name.split('/');
  for (let length = 3; length < parts.length; length++) {
    const above = parts.slice(0, length).join('/');
    if (free.has(above)) continue;
    const existing = await repository.refs.read(trustedRefName(Buffer.from(above, 'latin1')));
    if (existing !== undefined) throw CONFLICT;
    free.add(above);
  }
}
