import { existsSync } from 'node:fs';
import { isQuarantined } from '#git/command/git-directory';
import { requireNotGrafted } from '#git/history/commit-nodes';
import { reaches, reachesByGraph } from '#git/history/is-ancestor';
import { FallBackToGit, fallBackOnFailure } from '#git/in-process';
import { isZeroOid } from '#git/objects/object-id';
import { trustedRefName } from '#git/refs/ref-name';
import { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import type { HeldInput } from './held-input.ts';
import { proveConnected } from './prove-connected.ts';
import { type PushRequest, readPushRequest } from './push-request.ts';
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
}

/** Files with which git changes history, or the place of references. */
const UNUSUAL_FILES = ['shallow', 'info/grafts', 'worktrees'];

const UNUSUAL = new FallBackToGit('the repository is unusual');
const HIDDEN = new FallBackToGit('the reference is hidden');
const OTHER_VALUE = new FallBackToGit('the reference has another value');
const LOCKED = new FallBackToGit('the reference is locked');
const REFLOG = new FallBackToGit('the reference has a reflog');
const CONFLICT = new FallBackToGit('a reference of a directory exists');
const NOT_A_COMMIT = new FallBackToGit('a branch would not be a commit');

/**
 * Receives a push up to the point where `git receive-pack` runs its hooks. Nothing is changed
 * until then, and everything that git would refuse is left to git, so that it reports the reason.
 *
 * @returns `nothing` if the client has nothing to push.
 * @throws {FallBackToGit} for everything that is not certain to be accepted by git up to here.
 */
export async function preparePush(push: Push, input: HeldInput): Promise<PreparedPush | 'nothing'> {
  const { repository } = push;
  const settings = requirePlainRepository(push);
  const request = await readPushRequest(input, repository.objectFormat);
  if (request === 'nothing') return request;
  const head = await requirePlainChange(push, request, settings);
  await using stack = new AsyncDisposableStack();
  const quarantine = stack.use(await Quarantine.createInObjects(repository));
  const { newOids, warnings } = await unpackPush({ push, input }, request, settings, quarantine);
  const type = await proveConnected(request.newOid, {
    objects: quarantine.repository.objects,
    objectFormat: repository.objectFormat,
    newOids,
    isReachable: reachability(push, request, head),
    signal: push.signal,
  }).catch(fallBackOnFailure);
  if (type !== 'commit' && isBranch(request.reference)) throw NOT_A_COMMIT;
  input.release();
  const owned = stack.move();
  return { request, quarantine, warnings, head, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function requirePlainRepository({ repository, config }: Push): PushSettings {
  if (isQuarantined(repository) || repository.alternateObjectDirectories.length > 0) throw UNUSUAL;
  if (UNUSUAL_FILES.some((name) => existsSync(`${repository.path}/${name}`))) throw UNUSUAL;
  return pushSettings(repository, config);
}

/** Returns the reference that HEAD names, as long as no user may see it changing. */
async function requirePlainChange(
  { repository, signal }: Push,
  { reference, oldOid }: PushRequest,
  { hidden }: PushSettings,
): Promise<string | undefined> {
  if (hidden.has(reference)) throw HIDDEN;
  const name = reference.toString('latin1');
  const file = Buffer.concat([Buffer.from(`${repository.path}/`), reference, Buffer.from('.lock')]);
  if (existsSync(file)) throw LOCKED;
  if (repository.refs.mayLog(trustedRefName(reference))) throw REFLOG;
  const current = await repository.refs.read(reference, { signal });
  const isExpected = isZeroOid(oldOid) ? current === undefined : current?.oid === oldOid;
  if (!isExpected) throw OTHER_VALUE;
  if (current === undefined) await requireNoReferenceAbove(repository, name);
  const { symbolicTarget } = await repository.refs.head({ signal });
  return symbolicTarget?.toString('latin1');
}

/** git cannot create `a/b` while `a` exists. It notices the opposite when it takes the lock. */
async function requireNoReferenceAbove(repository: Repository, name: string): Promise<void> {
  const parts = name.split('/');
  for (let length = 3; length < parts.length; length++) {
    const above = trustedRefName(Buffer.from(parts.slice(0, length).join('/'), 'latin1'));
    if ((await repository.refs.read(above)) !== undefined) throw CONFLICT;
  }
}

/**
 * Returns a function that reports whether a commit is reachable from the reference's old value, or
 * from the default branch. Other references are seldom needed.
 */
function reachability(
  { repository, signal }: Push,
  { oldOid }: PushRequest,
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

function isBranch(reference: Buffer): boolean {
  return reference.toString('latin1', 0, 'refs/heads/'.length) === 'refs/heads/';
}
