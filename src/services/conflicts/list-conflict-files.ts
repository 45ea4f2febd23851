import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument } from '#base/gitaly-error';
import type { ConflictFile } from '#domain/conflicts/conflict-file';
import { listConflicts } from '#domain/conflicts/list-conflicts';
import { MAX_CHUNK_BYTES } from '#services/convert/response/stream-responses';
import type { ConflictFileSchema } from '#wire/gen/conflicts_pb';
import type { Handlers } from './dependencies.ts';

type File = MessageInitShape<typeof ConflictFileSchema>;

const NO_BYTES = Buffer.alloc(0);
/** Headers and contents of one response; it is encoded in some milliseconds. */
const MAX_PARTS = 250;

/** Lists the files that a merge of two commits leaves in conflict, with conflict markers. */
export const listConflictFiles: Handlers['listConflictFiles'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  const { ourCommitOid: ours, theirCommitOid: theirs, allowTreeConflicts, skipContent } = request;
  if (ours === '') throw invalidArgument('empty OurCommitOid');
  if (theirs === '') throw invalidArgument('empty TheirCommitOid');

  let waiting: File[] = [];
  let waitingBytes = 0;
  for await (const { file, read } of listConflicts(repository, { ours, theirs }, context)) {
    if (!allowTreeConflicts && !(file.isInOurs && file.isInTheirs))
      throw new GitalyError('FAILED_PRECONDITION', 'conflict side missing');
    waiting.push({ conflictFilePayload: { case: 'header', value: headerOf(file, ours) } });
    if (waiting.length >= MAX_PARTS) {
      yield { files: waiting };
      waiting = [];
      waitingBytes = 0;
    }
    if (skipContent) continue;
    const content = await read();
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
};

function headerOf({ path, ourMode, isInOurs, isInTheirs, isInAncestor }: ConflictFile, commitOid: string) {
  return {
    commitOid,
    ourMode,
    ourPath: isInOurs ? path : NO_BYTES,
    theirPath: isInTheirs ? path : NO_BYTES,
    ancestorPath: isInAncestor ? path : NO_BYTES,
  };
}
