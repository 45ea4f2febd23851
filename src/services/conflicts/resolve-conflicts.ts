import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, withCode, wrap } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { parseResolutions, type Resolution } from '#domain/conflicts/parse-resolutions';
import { resolveConflicts as mergeResolved } from '#domain/conflicts/resolve-conflicts';
import { ResolutionError } from '#domain/conflicts/resolve-file';
import { isRateLimited } from '#domain/gitlab-api/internal-api';
import { signatureOf } from '#domain/identity/signature';
import { MergeWorkspace } from '#domain/merge/merge-workspace';
import { updateWithHooks } from '#domain/ref-update/update-with-hooks';
import type { RemoteRepository } from '#domain/remote-repository/remote-repository';
import type { Ident } from '#git/objects/format-ident';
import { objectIdProblem } from '#git/objects/object-id';
import type { HandlerContext } from '#rpc/server/handler';
import { Quarantine } from '#storage/quarantine';
import type { Repository } from '#storage/repository';
import type {
  ResolveConflictsRequest,
  ResolveConflictsRequestHeader,
  ResolveConflictsResponseSchema,
} from '#wire/gen/conflicts_pb';
import type { Repository as RepositoryMessage, User } from '#wire/gen/shared_pb';
import { openRequests } from '../convert/first-request.ts';
import { asGoStatus } from '../convert/go-status.ts';
import { remoteOptionsOf } from '../convert/remote-options.ts';
import { updateContextOf } from '../convert/update-context.ts';
import type { ConflictsRooms } from './index.ts';

const MAX_JSON_BYTES = 64 * 1024 * 1024;

/** Merges two commits by what a user has decided about the conflicts, and moves a branch to the merge. */
export async function resolveConflicts(
  requests: AsyncIterable<ResolveConflictsRequest>,
  context: HandlerContext,
  rooms: ConflictsRooms,
): Promise<MessageInitShape<typeof ResolveConflictsResponseSchema>> {
  const { first, rest } = await openRequests(requests);
  if (first === undefined) throw new GitalyError('INTERNAL', 'EOF');
  const { case: kind, value: header } = first.resolveConflictsRequestPayload;
  if (kind !== 'header') throw new GitalyError('INVALID_ARGUMENT', 'empty ResolveConflictsRequestHeader');
  const { repository, user, targetRepository } = requireHeader(header, rooms);
  const author = signatureOf(user, header.timestamp?.seconds);
  const resolutions = parseResolutions(await readJson(rest));

  const remote = await rooms.remotes.open(targetRepository, remoteOptionsOf(context)).catch((error: unknown) => {
    throw withCode(error, 'INTERNAL');
  });
  await using quarantine = await Quarantine.create(repository);
  const source = await sourceOf({ repository, quarantine, remote, header }, context.signal);
  const objectFormat = repository.git.objectFormat(repository);
  const { ourCommitOid: ours, theirCommitOid: theirs } = header;
  if ([ours, theirs].some((oid) => objectIdProblem(oid, objectFormat) !== undefined)) {
    throw new GitalyError('INTERNAL', 'Rugged::InvalidError: unable to parse OID - contains invalid characters');
  }
  try {
    const newOid = await merge({ source, target: quarantine.repository, header, resolutions, author, signal: context.signal });
    const reference = Buffer.concat([Buffer.from('refs/heads/'), header.sourceBranch]);
    const update = { repository, quarantine, reference, oldOid: ours, newOid };
    await updateWithHooks(rooms.hooks, update, updateContextOf(user, context));
    return {};
  } catch (error) {
    if (error instanceof ResolutionError) return { resolutionError: error.message };
    throw isRateLimited(error) ? withCode(error, 'RESOURCE_EXHAUSTED') : error;
  }
}

function requireHeader(
  header: ResolveConflictsRequestHeader,
  { storages }: ConflictsRooms,
): { repository: Repository; targetRepository: RepositoryMessage; user: User } {
  const requireField = (field: { readonly length: number }, name: string): void => {
    if (field.length === 0) throw new GitalyError('INVALID_ARGUMENT', `empty ${name}`);
  };
  requireField(header.ourCommitOid, 'OurCommitOid');
  const repository = storages.open(header.repository);
  const { targetRepository, user } = header;
  if (targetRepository === undefined) throw new GitalyError('INVALID_ARGUMENT', 'empty TargetRepository');
  requireField(header.theirCommitOid, 'TheirCommitOid');
  requireField(header.sourceBranch, 'SourceBranch');
  requireField(header.targetBranch, 'TargetBranch');
  requireField(header.commitMessage, 'CommitMessage');
  if (user === undefined) throw new GitalyError('INVALID_ARGUMENT', 'empty User');
  return { repository, targetRepository, user };
}

async function readJson(requests: AsyncIterable<ResolveConflictsRequest>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const { resolveConflictsRequestPayload: payload } of requests) {
    if (payload.case !== 'filesJson') continue;
    bytes += payload.value.length;
    if (bytes > MAX_JSON_BYTES) throw new GitalyError('RESOURCE_EXHAUSTED', `resolutions exceed ${MAX_JSON_BYTES} bytes`);
    pieces.push(payload.value);
  }
  return Buffer.concat(pieces);
}

interface SourceParts {
  readonly repository: Repository;
  readonly quarantine: Quarantine;
  /** Where the branch to merge is. */
  readonly remote: RemoteRepository;
  readonly header: ResolveConflictsRequestHeader;
}

/** Where both commits are: the repository, or its quarantine when theirs has to be fetched. */
async function sourceOf({ repository, quarantine, remote, header }: SourceParts, signal: AbortSignal): Promise<Repository> {
  const revision = Buffer.concat([Buffer.from('refs/heads/'), header.targetBranch, Buffer.from('^{commit}')]);
  const where = `could not resolve target revision ${quote(revision)}`;
  const oid = await remote.resolveCommit(revision).catch((error: unknown) => {
    throw wrap(asGoStatus(error), where);
  });
  if (oid === undefined) throw new GitalyError('INTERNAL', `${where}: reference not found`);
  if ((await repository.objects.info(`${oid}^{commit}`, { signal })) !== undefined) return repository;
  await remote.fetchInto(quarantine.repository, oid).catch((error: unknown) => {
    throw wrap(asGoStatus(error), 'could not fetch target commit');
  });
  return quarantine.repository;
}

interface MergeParts {
  readonly source: Repository;
  readonly target: Repository;
  readonly header: ResolveConflictsRequestHeader;
  readonly resolutions: readonly Resolution[];
  readonly author: Ident;
  readonly signal: AbortSignal;
}

async function merge({ source, target, header, resolutions, author, signal }: MergeParts): Promise<string> {
  const { ourCommitOid: ours, theirCommitOid: theirs, commitMessage: message } = header;
  await using workspace = new MergeWorkspace({ repository: source, target, signal });
  const oid = await mergeResolved(workspace, target, { ours, theirs, resolutions, author, message });
  await workspace.writer.finish();
  return oid;
}
