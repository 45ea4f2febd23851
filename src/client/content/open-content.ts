import type { Readable } from 'node:stream';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { GetBlobRequestSchema } from '#wire/gen/blob_pb';
import type { TreeEntryRequestSchema, TreeEntryResponse_ObjectType } from '#wire/gen/commit_pb';
import type { GetArchiveRequestSchema } from '#wire/gen/repository_pb';
import type { CallOptions, ResponseStream } from '../call/call-types.ts';
import type { Connection } from '../connection.ts';
import { readableOf } from '../git/readable-from.ts';

/**
 * An object whose content is being received. Read `content` to its end or destroy it, which cancels
 * the call.
 */
export interface OpenedObject {
  readonly oid: string;
  /** Size of the whole object in bytes, however much of it was requested. */
  readonly size: bigint;
  readonly content: Readable;
}

/** The object at a path. */
export interface OpenedEntry extends OpenedObject {
  readonly type: TreeEntryResponse_ObjectType;
  /** File mode as a number: 0o100644 and similar. */
  readonly mode: number;
}

/**
 * Opens a blob (RPC GetBlob). Its size is known before its content is read. Returns `undefined` if
 * there is no such blob. A request without a limit reads all of it.
 *
 * @throws {CallError} the status of the call; after the first response, as the error of `content`.
 */
export async function openBlob(
  connection: Connection,
  request: MessageInitShape<typeof GetBlobRequestSchema>,
  options: CallOptions = {},
): Promise<OpenedObject | undefined> {
  const call = connection.blob.getBlob({ ...request, limit: request.limit ?? -1n }, options);
  const { first, content } = await open(call, ({ data }) => data);
  return first === undefined || first.oid === ''
    ? discard(content)
    : { oid: first.oid, size: first.size, content };
}

/**
 * Opens the object at a path of a revision (RPC TreeEntry). Directories and submodules have no
 * content, a submodule has no size.
 *
 * @throws {CallError} the status of the call (a missing path is NOT_FOUND in Gitaly 16 and later).
 *   Older servers report no error; the result is then `undefined`.
 */
export async function openTreeEntry(
  connection: Connection,
  request: MessageInitShape<typeof TreeEntryRequestSchema>,
  options: CallOptions = {},
): Promise<OpenedEntry | undefined> {
  const call = connection.commit.treeEntry(request, options);
  const { first, content } = await open(call, ({ data }) => data);
  if (first === undefined || first.oid === '') return discard(content);
  const { oid, size, type, mode } = first;
  return { oid, size, type, mode, content };
}

/**
 * Opens an archive of a revision (RPC GetArchive). Resolves when its first bytes have arrived, so
 * that an HTTP server learns of an invalid request before it sends headers. The size is unknown.
 *
 * @throws {CallError} the status of the call; after the first bytes, as the error of the stream.
 */
export async function openArchive(
  connection: Connection,
  request: MessageInitShape<typeof GetArchiveRequestSchema>,
  options: CallOptions = {},
): Promise<Readable> {
  const { content } = await open(connection.repository.getArchive(request, options), ({ data }) => data);
  return content;
}

/** Waits for the first response and returns a stream of the bytes of all responses. */
async function open<O>(
  call: ResponseStream<O>,
  bytesOf: (response: O) => Uint8Array,
): Promise<{ first: O | undefined; content: Readable }> {
  const responses = call[Symbol.asyncIterator]();
  let result: IteratorResult<O> | undefined = await responses.next();
  const first = result.done === true ? undefined : result.value;
  const next = async (): Promise<IteratorResult<O>> => {
    const given = result ?? (await responses.next());
    result = undefined;
    return given;
  };
  return { first, content: readableOf({ next }, { bytesOf, cancel: (reason) => call.cancel(reason) }) };
}

function discard(content: Readable): undefined {
  content.destroy();
  return undefined;
}
