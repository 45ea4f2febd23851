import { advertisement, advertiseReferences, serviceHeader } from '#domain/git-service/advertise-references';
import { advertisesBundleUri } from '#domain/git-service/bundle-uri-settings';
import {
  type CachedAdvertisementOptions,
  cachedAdvertisement,
} from '#domain/git-service/cached-advertisement';
import { parseConfigOptions } from '#domain/git-service/config-options';
import { advertiseToPush } from '#domain/receive-pack/advertise-to-push';
import { FEATURE_FLAG_PREFIX } from '#rpc/common/header-names';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { offeredBundles } from '#services/convert/request/bundle-uri';
import { requestBytes } from '#services/convert/request/request-bytes';
import { lentMessages } from '#services/convert/response/lent-messages';
import { MAX_CHUNK_BYTES } from '#services/convert/response/stream-responses';
import {
  type InfoRefsRequest,
  InfoRefsRequestSchema,
  type InfoRefsResponseSchema,
} from '#wire/gen/smarthttp_pb';
import type { Handlers, SmartHttpDependencies } from './dependencies.ts';

/**
 * Sends the advertisement for a fetch: the visible references (from a cache for a request without
 * options), or in protocol v2 only the server's capabilities, which are cached.
 */
export const infoRefsUploadPack: Handlers['infoRefsUploadPack'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  const config = parseConfigOptions(request.gitConfigOptions);
  deps.observeGitProtocol?.(context.method, request.gitProtocol);

  const { gitProtocol } = request;
  const { signal } = context;
  const bundles = await offeredBundles({ repository, gitProtocol }, context, deps);
  const asked = { service: 'upload-pack', config, gitProtocol, bundles, signal } as const;
  if (config.length === 0 && gitProtocol === '') {
    const produce = (ended: AbortSignal) => advertiseReferences(repository, { ...asked, signal: ended });
    const cached = cachedAdvertisement(repository, produce, cacheOptions(request, context, deps));
    for await (const lent of cached) yield* lentMessages(lent, (data) => ({ data }));
    return;
  }
  if (gitProtocol === 'version=2') {
    yield* messagesOf(serviceHeader('upload-pack'));
    const settings = [...config, advertisesBundleUri(bundles)];
    yield* messagesOf(deps.capabilities.get(repository, settings, () => advertisement(repository, asked)));
  } else {
    yield* messagesOf(advertiseReferences(repository, asked));
  }
};

/** Cuts pieces into messages. */
async function* messagesOf(
  pieces: AsyncIterable<Buffer> | Iterable<Buffer>,
): ResponsesOf<typeof InfoRefsResponseSchema> {
  for await (const piece of pieces) {
    for (let start = 0; start < piece.length; start += MAX_CHUNK_BYTES)
      yield { data: piece.subarray(start, start + MAX_CHUNK_BYTES) };
  }
}

function cacheOptions(
  request: InfoRefsRequest,
  context: HandlerContext,
  deps: SmartHttpDependencies,
): CachedAdvertisementOptions {
  const flags = [...context.headers.entries()]
    .filter(([key]) => key.startsWith(FEATURE_FLAG_PREFIX))
    .map(([key, value]) => `${key}:${value}`);
  return {
    keyParts: (generation) => [
      deps.serverVersion,
      context.method.path,
      generation,
      requestBytes(InfoRefsRequestSchema, request),
      flags.sort().join(' '),
    ],
    streams: deps.advertisements,
    observe: deps.cacheObserver,
    log: context.log,
    signal: context.signal,
  };
}

/** Sends the references that a push may see. Never cached: a push depends on the current state. */
export const infoRefsReceivePack: Handlers['infoRefsReceivePack'] = async function* (
  request,
  { method, signal },
  deps,
) {
  const repository = deps.storages.open(request.repository);
  const config = parseConfigOptions(request.gitConfigOptions);
  deps.observeGitProtocol?.(method, request.gitProtocol);

  const { gitProtocol } = request;
  const chunks = advertiseToPush(repository, { config, gitProtocol, signal }, deps.pushCapabilities);
  for await (const data of chunks) yield { data };
};
