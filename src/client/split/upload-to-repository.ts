import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ApplyBfgObjectMapStreamResponse } from '#wire/gen/cleanup_pb';
import type { RepositorySchema } from '#wire/gen/shared_pb';
import type { CallOptions, ResponseStream } from '../call/call-types.ts';
import type { Connection } from '../connection.ts';
import { toBytes } from '../repository/values.ts';
import { type Content, splitBytes } from './split-bytes.ts';
import { splitItems } from './split-items.ts';

type Repository = MessageInitShape<typeof RepositorySchema>;

/**
 * Creates a repository from a bundle (RPC CreateRepositoryFromBundle), which may be a stream of any
 * size.
 *
 * @throws {CallError} the status of the call.
 */
export async function createRepositoryFromBundle(
  connection: Connection,
  repository: Repository,
  bundle: Content,
  options: CallOptions = {},
): Promise<void> {
  await connection.repository.createRepositoryFromBundle(
    withFirst({ repository }, splitBytes(bundle), (data) => ({ data })),
    options,
  );
}

/**
 * Fetches the objects of a bundle, and makes the references those of the bundle (RPC FetchBundle).
 *
 * @param options.updateHead also sets HEAD.
 * @throws {CallError} the status of the call.
 */
export async function fetchBundle(
  connection: Connection,
  repository: Repository,
  bundle: Content,
  options: CallOptions & { readonly updateHead?: boolean } = {},
): Promise<void> {
  const { updateHead = false } = options;
  await connection.repository.fetchBundle(
    withFirst({ repository, updateHead }, splitBytes(bundle), (data) => ({ data })),
    options,
  );
}

/**
 * Replaces the custom hooks of a repository with those of a tar archive (RPC SetCustomHooks, since
 * 16.7).
 *
 * @throws {CallError} the status of the call.
 */
export async function setCustomHooks(
  connection: Connection,
  repository: Repository,
  archive: Content,
  options: CallOptions = {},
): Promise<void> {
  await connection.repository.setCustomHooks(
    withFirst({ repository }, splitBytes(archive), (data) => ({ data })),
    options,
  );
}

/**
 * Removes references to objects that a BFG run has replaced (RPC ApplyBfgObjectMapStream), given as
 * lines `<old oid> <new oid>`.
 *
 * @throws {CallError} the status of the call, by iterating.
 */
export function applyBfgObjectMap(
  connection: Connection,
  repository: Repository,
  objectMap: Content,
  options: CallOptions = {},
): ResponseStream<ApplyBfgObjectMapStreamResponse> {
  return connection.cleanup.applyBfgObjectMapStream(
    withFirst({ repository }, splitBytes(objectMap), (bytes) => ({ objectMap: bytes })),
    options,
  );
}

/**
 * Removes blobs from the whole history and text from all files (RPC RewriteHistory, since 19.0).
 *
 * @throws {CallError} the status of the call.
 */
export async function rewriteHistory(
  connection: Connection,
  repository: Repository,
  what: { readonly blobs?: Iterable<string>; readonly redactions?: Iterable<string | Uint8Array> },
  options: CallOptions = {},
): Promise<void> {
  const parts = async function* () {
    for await (const blobs of splitItems(what.blobs ?? [])) yield { blobs };
    for await (const redactions of splitItems(what.redactions ?? []))
      yield { redactions: redactions.map(toBytes) };
  };
  await connection.cleanup.rewriteHistory(
    withFirst({ repository }, parts(), (part) => part),
    options,
  );
}

/** Yields the message that names the repository, then one for each part. */
async function* withFirst<First, Part, Request>(
  first: First,
  parts: AsyncIterable<Part>,
  toRequest: (part: Part) => Request,
): AsyncGenerator<First | Request, void, undefined> {
  yield first;
  for await (const part of parts) yield toRequest(part);
}
