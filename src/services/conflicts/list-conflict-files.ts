import { isUtf8 } from 'node:buffer';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import { type ConflictFile, conflictFiles, withPaths } from '#domain/conflicts/conflict-file';
import { MergeWorkspace } from '#domain/merge/merge-workspace';
import { EntryFinder } from '#git/trees/find-entry';
import type { HandlerContext } from '#rpc/server/handler';
import { Quarantine } from '#storage/quarantine';
import type { Repository } from '#storage/repository';
import type { ConflictFileSchema, ListConflictFilesRequest, ListConflictFilesResponseSchema } from '#wire/gen/conflicts_pb';
import { whyNotFound } from '../convert/revision.ts';
import { MAX_CHUNK_BYTES } from '../convert/stream-responses.ts';
import type { ConflictsRooms } from './index.ts';

type Response = MessageInitShape<typeof ListConflictFilesResponseSchema>;
type File = MessageInitShape<typeof ConflictFileSchema>;

const NO_BYTES = Buffer.alloc(0);

/** The files that a merge of two commits would not settle, with conflict markers in them. Nothing is merged. */
export async function* listConflictFiles(
  request: ListConflictFilesRequest,
  context: HandlerContext,
  rooms: ConflictsRooms,
): AsyncGenerator<Response> {
  const repository = rooms.storages.open(request.repository);
  if (request.ourCommitOid === '') throw new GitalyError('INVALID_ARGUMENT', 'empty OurCommitOid');
  if (request.theirCommitOid === '') throw new GitalyError('INVALID_ARGUMENT', 'empty TheirCommitOid');

  const { signal } = context;
  const ours = await resolveCommit(repository, request.ourCommitOid, 'our', signal);
  const theirs = await resolveCommit(repository, request.theirCommitOid, 'their', signal);
  await using quarantine = await Quarantine.create(repository);
  await using workspace = new MergeWorkspace({ repository, target: quarantine.repository, signal });
  const merged = await workspace.mergeCommits(ours, theirs).catch((error: unknown) => {
    throw wrap(error, "couldn't find conflict");
  });
  const content = new Contents(quarantine.repository, merged.treeOid, { ours, theirs }, signal);
  yield* batches(conflictFiles(merged.conflicts), request, content);
}

async function* batches(
  files: readonly ConflictFile[],
  request: ListConflictFilesRequest,
  contents: Contents,
): AsyncGenerator<Response> {
  let waiting: File[] = [];
  let waitingBytes = 0;
  for (const file of files) {
    if (!request.allowTreeConflicts && !(file.isInOurs && file.isInTheirs)) {
      throw new GitalyError('FAILED_PRECONDITION', 'conflict side missing');
    }
    waiting.push({ conflictFilePayload: { case: 'header', value: headerOf(file, request.ourCommitOid) } });
    if (request.skipContent) continue;
    const content = await contents.of(file);
    for (let at = 0; at < content.length; at += MAX_CHUNK_BYTES) {
      const value = content.subarray(at, at + MAX_CHUNK_BYTES);
      waiting.push({ conflictFilePayload: { case: 'content', value } });
      waitingBytes += value.length;
      if (waitingBytes < MAX_CHUNK_BYTES) continue;
      yield { files: waiting };
      waiting = [];
      waitingBytes = 0;
    }
  }
  if (waiting.length > 0) yield { files: waiting };
}

function headerOf(file: ConflictFile, commitOid: string) {
  const { path, ourMode } = file;
  return {
    commitOid,
    ourMode,
    ourPath: file.isInOurs ? path : NO_BYTES,
    theirPath: file.isInTheirs ? path : NO_BYTES,
    ancestorPath: file.isInAncestor ? path : NO_BYTES,
  };
}

/** Files of the merged tree, with the paths of the sides in their conflict markers. */
class Contents {
  readonly #repository: Repository;
  readonly #finder: EntryFinder;
  readonly #tree: Buffer;
  readonly #commits: { readonly ours: string; readonly theirs: string };
  readonly #signal: AbortSignal;

  constructor(repository: Repository, treeOid: string, commits: { ours: string; theirs: string }, signal: AbortSignal) {
    this.#repository = repository;
    this.#finder = new EntryFinder(repository.objects, { signal });
    this.#tree = Buffer.from(treeOid);
    this.#commits = commits;
    this.#signal = signal;
  }

  /** @throws {GitalyError} FAILED_PRECONDITION. */
  async of({ path, isInOurs, isInTheirs }: ConflictFile): Promise<Buffer> {
    // Renamed on both sides: there is nothing at the old path. Gitaly reads the root directory then, which is no text.
    if (!isInOurs && !isInTheirs) throw new GitalyError('FAILED_PRECONDITION', 'unsupported encoding');
    const entry = await this.#finder.find(this.#tree, path);
    if (entry === undefined) throw new GitalyError('FAILED_PRECONDITION', 'getting file revision: reference not found');
    const object = await this.#repository.objects.readObject(entry.oid, { signal: this.#signal });
    if (object === undefined) throw new GitalyError('FAILED_PRECONDITION', 'getting objectreader: object not found');
    if (!isUtf8(object.data)) throw new GitalyError('FAILED_PRECONDITION', 'unsupported encoding');
    return withPaths(object.data, this.#commits, { ours: isInOurs ? path : NO_BYTES, theirs: isInTheirs ? path : NO_BYTES });
  }
}

async function resolveCommit(repository: Repository, name: string, whose: 'our' | 'their', signal: AbortSignal): Promise<string> {
  const revision = Buffer.from(`${name}^{commit}`);
  const commit = name.startsWith('-') ? undefined : await repository.objects.info(revision, { signal });
  if (commit !== undefined) return commit.oid;
  throw new GitalyError('FAILED_PRECONDITION', `could not lookup '${whose}' OID: ${whyNotFound(revision)}`);
}
