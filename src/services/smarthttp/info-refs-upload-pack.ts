import { type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { messageOf } from '#base/gitaly-error';
import { advertisement, advertiseReferences, serviceHeader } from '#domain/git-service/advertise-references';
import { parseConfigOptions } from '#domain/git-service/config-options';
import { FEATURE_FLAG_PREFIX } from '#rpc/common/header-names';
import type { HandlerContext } from '#rpc/server/handler';
import { currentGeneration } from '#storage/cache-generations';
import { cacheKey, openCached } from '#storage/disk-cache';
import type { Repository } from '#storage/repository';
import { type InfoRefsRequest, InfoRefsRequestSchema, type InfoRefsResponseSchema } from '#wire/gen/smarthttp_pb';
import { MAX_CHUNK_BYTES } from '../convert/stream-responses.ts';
import type { SmartHttpRooms } from './index.ts';

/**
 * What a fetch begins with: the references that it may see (from the disk cache when the request asks for nothing special), or in
 * protocol v2 only what the server is able to do, which is remembered.
 */
export async function* infoRefsUploadPack(
  request: InfoRefsRequest,
  context: HandlerContext,
  rooms: SmartHttpRooms,
): AsyncGenerator<MessageInitShape<typeof InfoRefsResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  const config = parseConfigOptions(request.gitConfigOptions);
  rooms.observeGitProtocol?.(context.method, request.gitProtocol);

  const { gitProtocol } = request;
  const { signal } = context;
  const asked = { service: 'upload-pack', config, gitProtocol, signal } as const;
  const produce = () => advertiseReferences(repository, asked);
  for await (const chunk of remembered()) {
    for (let start = 0; start < chunk.length; start += MAX_CHUNK_BYTES)
      yield { data: chunk.subarray(start, start + MAX_CHUNK_BYTES) };
  }

  async function* remembered(): AsyncGenerator<Buffer> {
    if (gitProtocol === 'version=2') {
      yield* serviceHeader('upload-pack');
      yield* rooms.capabilities.get(repository, config, () => advertisement(repository, asked));
      return;
    }
    const isPlain = config.length === 0 && gitProtocol === '';
    yield* isPlain ? cached(repository, request, context, rooms, produce) : produce();
  }
}

/** Serving comes before caching: whatever is wrong with the cache only costs time. */
async function* cached(
  repository: Repository,
  request: InfoRefsRequest,
  context: HandlerContext,
  rooms: SmartHttpRooms,
  produce: () => AsyncGenerator<Buffer>,
): AsyncGenerator<Buffer> {
  rooms.observeInfoRefsCache?.('attempt');
  const opened = await open().catch((error: unknown) => {
    rooms.observeInfoRefsCache?.('err');
    context.log.add({ 'diskcache.error': messageOf(error) });
    return undefined;
  });
  if (opened === undefined) {
    yield* produce();
    return;
  }
  rooms.observeInfoRefsCache?.(opened.hit ? 'hit' : 'miss');
  yield* opened.content;

  async function open() {
    const generation = await currentGeneration(repository);
    if (generation === undefined) return undefined;
    context.log.add({ diskcache: generation });
    const flags = [...context.headers.entries()]
      .filter(([key]) => key.startsWith(FEATURE_FLAG_PREFIX))
      .map(([key, value]) => `${key}:${value}`);
    const key = cacheKey([
      rooms.serverVersion,
      context.method.path,
      generation,
      toBinary(InfoRefsRequestSchema, request),
      flags.sort().join(' '),
    ]);
    return await openCached(repository.storage, key, produce);
  }
}
