import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument } from '#base/gitaly-error';
import type { OpenObject } from '#git/objects/opened-object';
import { openEntry } from '#git/trees/open-entry';
import { requireRevision } from '#services/convert/request/revision';
import { takeBytes } from '#services/convert/request/take-bytes';
import { MAX_CHUNK_BYTES } from '#services/convert/response/stream-responses';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldNumbers } from '#wire/fast/field-numbers';
import { encodeWith } from '#wire/fast/reverse-writer';
import { TreeEntryResponseSchema, TreeEntryResponse_ObjectType as Type } from '#wire/gen/commit_pb';
import type { Handlers } from '../dependencies.ts';

const FIELD = fieldNumbers(TreeEntryResponseSchema, {
  type: 'number',
  oid: 'text',
  size: 'number',
  mode: 'number',
  data: 'bytes',
});

/** Up to here a copy is cheaper than one more piece on the way. */
const MAX_BY_HAND_BYTES = 16 * 1024;

type Response = MessageInitShape<typeof TreeEntryResponseSchema>;

const SLASH = 0x2f;

/**
 * Sends what lies at a path of a revision: of a submodule and of a directory only what it is, of a
 * file its content too. The path is taken byte for byte, but for slashes at its end.
 */
export const treeEntry: Handlers['treeEntry'] = async function* (request, context, deps) {
  const { objects } = deps.storages.open(request.repository);
  const revision = requireRevision(request.revision);
  if (request.path.length === 0) throw invalidArgument('empty Path');
  if (request.limit < 0n) throw invalidArgument('negative Limit');
  if (request.maxSize < 0n) throw invalidArgument('negative MaxSize');

  const found = await openEntry(objects, revision, withoutSlashes(request.path), context);
  if (found === undefined) throw new GitalyError('NOT_FOUND', 'tree entry not found');
  const { entry, kind, object } = found;
  const { oid, mode } = entry;
  if (kind === 'submodule') {
    yield { type: Type.COMMIT, oid, mode };
    return;
  }
  if (object === undefined) throw new GitalyError('UNKNOWN', 'object not found');
  try {
    if (object.type !== kind) {
      const types = `entry-type=${kind.toUpperCase()} object-type=${object.type}`;
      throw new GitalyError('UNKNOWN', `mismatched object type: tree-oid=${oid} object-oid=${oid} ${types}`);
    }
    const size = BigInt(object.size);
    if (kind === 'tree') {
      yield { type: Type.TREE, oid, size, mode };
      return;
    }
    if (request.maxSize > 0n && size > request.maxSize) {
      const text = `object size (${size}) is bigger than the maximum allowed size (${request.maxSize})`;
      throw new GitalyError('FAILED_PRECONDITION', text);
    }
    const { limit } = request;
    const length = limit === 0n || limit > size ? object.size : Number(limit);
    const header = { type: Type.BLOB, oid, size, mode };
    if (object.data !== undefined && length <= MAX_CHUNK_BYTES)
      yield encode(header, object.data.subarray(0, length));
    else yield* blob(object, header, length);
  } finally {
    if (object.data === undefined) object.stream.destroy();
  }
};

async function* blob(object: OpenObject, header: Response, length: number): AsyncGenerator<Response> {
  let isFirst = true;
  for await (const data of takeBytes(object.data === undefined ? object.stream : [object.data], length)) {
    yield isFirst ? { ...header, data } : { data };
    isFirst = false;
  }
  if (isFirst) yield header;
}

/**
 * Encodes a response. Most calls are answered with one small message, which is written directly;
 * larger data are not copied.
 */
function encode(header: Response, data: Buffer): Response {
  if (data.length > MAX_BY_HAND_BYTES) return { ...header, data };
  const { type, oid, size, mode } = header;
  const bytes = encodeWith((writer) => {
    writer.bytes(FIELD.data, data);
    writer.number(FIELD.mode, mode);
    writer.number(FIELD.size, size);
    writer.text(FIELD.oid, oid);
    writer.number(FIELD.type, type);
  });
  return encodedMessage(TreeEntryResponseSchema, bytes);
}

function withoutSlashes(path: Uint8Array): Buffer {
  let end = path.length;
  while (end > 1 && path[end - 1] === SLASH) end--;
  return Buffer.from(path.buffer, path.byteOffset, end);
}
