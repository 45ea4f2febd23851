import { existsSync } from 'node:fs';
import { LoopSlice } from '#base/async/loop-turns';
import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import { requireNotGrafted } from '#git/history/graph/commit-nodes';
import { reaches, reachesByGraph } from '#git/history/graph/is-ancestor';
import { isZeroOid } from '#git/names/object-id';
import { trustedRefName } from '#git/names/ref-name';
import type { NewRef } from '#git/refs/update/create-packed-refs';
import { isQuarantined } from '#git/repository-files/git-directory';
import { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import type { RelayedHook } from '../hooks/hooks-directories.ts';
import type { HeldInput } from './held-input.ts';
import { isBranch, NOT_A_COMMIT, proveCreations, requirePackable } from './many-creations.ts';
import { proveConnected } from './prove-connected.ts';
import { type PushCommand, type PushRequest, readPushRequest } from './push-request.ts';
import { type PushSettings, pushSettings } from './push-settings.ts';
import type { Push } from './receive-pack.ts';
import { unpackPush } from './unpack-push.ts';

/** A push whose objects are in a quarantine, and complete. Disposing drops the objects. */
export interface PreparedPush extends AsyncDisposable {
  readonly request: PushRequest;
  readonly quarantine: Quarantine;
  readonly warnings: Buffer;
  /** The reference that HEAD names. */
  readonly head: string | undefined;
  /** The references of a push that creates many; `undefined` for the change of one. */
  readonly creations: readonly NewRef[] | undefined;
}

export interface PrepareOptions {
  /** Reports whether a hook has an effect on the push. */
  readonly needsHook: (hook: RelayedHook) => Promise<boolean>;
}

/** Files with which git changes history, or the place of references. */
const UNUSUAL_FILES = ['shallow', 'info/grafts', 'worktrees'];

const UNUSUAL = new FallBackToGit('the repository is unusual');
const HIDDEN = new FallBackToGit('the reference is hidden');
const OTHER_VALUE = new FallBackToGit('the reference has another value');
const LOCKED = new FallBackToGit('the reference is locked');
const REFLOG = new FallBackToGit('the reference has a reflog');
const CONFLICT = new FallBackToGit('a reference of a directory exists');

/**
 * Receives a push up to the point where `git receive-pack` runs its hooks. Nothing is changed
 * until then, and everything that git would refuse is left to git, so that it reports the reason.
 *
 * @returns `nothing` if the client has nothing to push.
 * @throws {FallBackToGit} for everything that is not certain to be accepted by git up to here.
 */
export async function preparePush(
  push: Push,
  input: HeldInput,
  { needsHook }: PrepareOptions,
): Promise<PreparedPush | 'nothing'> {
  const { repository } = push;
  const settings = requirePlainRepository(push);
  const request = await readPushRequest(input, repository.objectFormat);
  if (request === 'nothing') return request;
  const [command, ...others] = request.commands;
  if (others.length > 0) await requirePackable(push, request, needsHook);
  await requirePlainChanges(push, request, settings);
  const { symbolicTarget } = await repository.refs.head({ signal: push.signal });
  const head = symbolicTarget?.toString('latin1');
  await using stack = new AsyncDisposableStack();
  const quarantine = stack.use(await Quarantine.createInObjects(repository));
  const { newOids, warnings } = await unpackPush({ push, input }, request, settings, quarantine);
  const creations =
    others.length > 0 ? await proveCreations(request, quarantine.repository, push.signal) : undefined;
  if (creations === undefined) {
    const type = await proveConnected(command.newOid, {
      objects: quarantine.repository.objects,
      objectFormat: repository.objectFormat,
      newOids,
      isReachable: reachability(push, command, head),
      signal: push.signal,
    }).catch(fallBackOnFailure);
    if (type !== 'commit' && isBranch(command.reference)) throw NOT_A_COMMIT;
  }
  input.release();
  const owned = stack.move();
  return {
    request,
    quarantine,
    warnings,
    head,
    creations,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function requirePlainRepository({ repository, config }: Push): PushSettings {
  if (isQuarantined(repository) || repository.alternateObjectDirectories.length > 0) throw UNUSUAL;
  if (UNUSUAL_FILES.some((name) => existsSync(`${repository.path}/${name}`))) throw UNUSUAL;
  return pushSettings(repository, config);
}

/** Checks that the references have the expected values, and that no user may see them changing. */
async function requirePlainChanges(
  { repository, signal }: Push,
  { commands }: PushRequest,
  { hidden }: PushSettings,
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

/**
 * Returns a function that reports whether a commit is reachable from the reference's old value, or
 * from the default branch. Other references are seldom needed.
 */
function reachability(
  { repository, signal }: Push,
  { oldOid }: PushCommand,
  head: string | undefined,
): (oid: string) => Promise<boolean> {
  return async (oid) => {
    if (oid === oldOid) return true;
    const branch =
      head === undefined ? undefined : await repository.refs.resolve(Buffer.from(head, 'latin1'), { signal });
    if (oid === branch?.oid) return true;
    const tips = [...(isZeroOid(oldOid) ? [] : [oldOid]), ...(branch === undefined ? [] : [branch.oid])];
    for (const tip of tips) if (await isReachedFrom(repository, tip, oid)) return true;
    return false;
  };
}

async function isReachedFrom(repository: Repository, tip: string, oid: string): Promise<boolean> {
  const nodes = requireNotGrafted(repository.commits);
  return await (nodes.graph === undefined
    ? reaches(nodes, tip, oid)
    : reachesByGraph(nodes, nodes.graph, tip, oid));
}
