import { LoopSlice } from '#base/async/loop-turns';
import { GitalyError, withCode, wrap } from '#base/gitaly-error';
import { documentError } from '#base/go/encoding/json-error';
import { JsonScanner } from '#base/go/encoding/json-scanner';
import { quote } from '#base/go/quote';
import { asGoStatus } from '#base/go/status';
import { isOid } from '#git/names/object-id';
import type { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import { signatureOf, type UserChange } from '../commit/signature.ts';
import { MergeWorkspace } from '../merge/merge-workspace.ts';
import { updateFromQuarantine } from '../ref-update/quarantined-update.ts';
import type { UpdateContext } from '../ref-update/update-with-hooks.ts';
import type { OpenRemote, RemoteRepository } from '../remote/server/remote-repository.ts';
import { commitIdOf } from '../revisions/commit-id-of.ts';
import { branchReference } from '../revisions/reference-names.ts';
import { type Resolution, ResolutionReader } from './resolution-reader.ts';
import { resolveConflicts } from './resolve-conflicts.ts';

interface BranchResolution extends UserChange {
  /** Ids of the commits to merge, as the client sent them; the branch is at `ours`. */
  readonly ours: string;
  readonly theirs: string;
  /** The branch that gets the merge. */
  readonly sourceBranch: Uint8Array;
  /** The branch that is merged, in the repository that `openRemote` opens. */
  readonly targetBranch: Uint8Array;
  readonly openRemote: OpenRemote;
  /** The decisions of the user, as `parseResolutions` reads them. */
  readonly resolutions: Buffer;
  readonly message: Uint8Array;
}

/**
 * Merges two commits with the decisions of a user about the conflicts, and moves a branch to the
 * merge.
 *
 * @throws {ResolutionError} {UpdateFailedError}; {GitalyError}
 *   `could not resolve target revision …`, `could not fetch target commit: …`, INTERNAL for invalid
 *   ids; as `signatureOf`, `parseResolutions` and `resolveConflicts`.
 */
export async function resolveOnBranch(
  repository: Repository,
  request: BranchResolution,
  context: UpdateContext,
): Promise<void> {
  const { ours, theirs, message } = request;
  const { signal } = context;
  const author = signatureOf(request.user, request.seconds);
  const resolutions = await parseResolutions(request.resolutions, signal);
  const remote = await request.openRemote().catch((error: unknown) => {
    throw withCode(error, 'INTERNAL');
  });

  const make = async (quarantine: Quarantine) => {
    const target = quarantine.repository;
    const source = await sourceOf({ repository, target, remote, request }, signal);
    requireOids([ours, theirs], repository);
    await using workspace = new MergeWorkspace({ repository: source, target, signal });
    const merge = { ours, theirs, resolutions, author, message };
    const newOid = await resolveConflicts(workspace, target, merge);
    await workspace.writer.finish();
    return { reference: branchReference(request.sourceBranch), oldOid: ours, newOid };
  };
  await updateFromQuarantine(repository, make, context);
}

/**
 * Checks the ids. @throws {GitalyError} INTERNAL, with the text of Gitaly's former Ruby server.
 */
function requireOids(oids: readonly string[], repository: Repository): void {
  const objectFormat = repository.objectFormat;
  if (oids.every((oid) => isOid(oid, objectFormat))) return;
  const text = 'Rugged::InvalidError: unable to parse OID - contains invalid characters';
  throw new GitalyError('INTERNAL', text);
}

interface FindSourceOptions {
  readonly repository: Repository;
  /** The repository with the quarantine. */
  readonly target: Repository;
  readonly remote: RemoteRepository;
  readonly request: BranchResolution;
}

/**
 * Returns the repository with both commits: the repository itself, or its quarantine after a fetch
 * of theirs.
 */
async function sourceOf(
  { repository, target, remote, request }: FindSourceOptions,
  signal: AbortSignal,
): Promise<Repository> {
  const revision = Buffer.concat([branchReference(request.targetBranch), Buffer.from('^{commit}')]);
  const where = `could not resolve target revision ${quote(revision)}`;
  const oid = await remote.resolveCommit(revision).catch((error: unknown) => {
    throw wrap(asGoStatus(error), where);
  });
  if (oid === undefined) throw new GitalyError('INTERNAL', `${where}: reference not found`);
  if ((await commitIdOf(repository, oid, { signal })) !== undefined) return repository;
  await remote.fetchInto(target, oid).catch((error: unknown) => {
    throw wrap(asGoStatus(error), 'could not fetch target commit');
  });
  return target;
}

/**
 * Reads the resolutions of a request. A long text takes many iterations of the event loop.
 *
 * @throws {GitalyError} INTERNAL with Go's text for invalid JSON; as {@link ResolutionReader}; the
 *   signal's reason.
 */
export async function parseResolutions(json: Buffer, signal?: AbortSignal): Promise<Resolution[]> {
  const scanner = new JsonScanner(json.toString('latin1'));
  const reader = new ResolutionReader();
  const slice = new LoopSlice();
  let text = '';
  for (;;) {
    const token = nextToken(scanner);
    if (token === undefined) return reader.result();
    if (slice.isOverAfterItem() || scanner.isPartial) await slice.pause(signal);
    const { depth } = scanner;
    if ((token === 'key' || token === 'string') && !reader.ignores(depth))
      text += decoded(json.toString('utf8', scanner.start, scanner.end));
    if (scanner.isPartial) continue;
    reader.read(token, depth, text);
    text = '';
  }
}

/** Returns the next token; `undefined` at the end. @throws as {@link parseResolutions}. */
function nextToken(scanner: JsonScanner): ReturnType<JsonScanner['next']> {
  try {
    const token = scanner.next();
    if (token === undefined) scanner.requireEnd();
    return token;
  } catch (error) {
    throw new GitalyError('INTERNAL', documentError(error));
  }
}

/** Returns the text between quotes, without its escapes. */
function decoded(text: string): string {
  return text.includes('\\') ? String(JSON.parse(`"${text}"`)) : text;
}
