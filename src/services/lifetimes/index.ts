import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '#base/gitaly-error';
import { readLifetimes } from '#domain/lifetimes/lifetime-file';
import { setLifetime } from '#domain/lifetimes/set-lifetime';
import { type HandlerContext, type ResponseOf, type ServedService, serve } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import {
  LifetimeService,
  type ListRequest,
  type ListResponseSchema,
  type SetRequest,
  type SetResponseSchema,
} from '#wire/gen/gitalyts/lifetimes/v1/lifetimes_pb';

const SECOND_MS = 1000;
/** A century: a longer time means "no end". */
const MAX_SECONDS = 3_155_760_000n;

/** Implements the ends of repositories and references. */
export function lifetimeService(deps: { readonly storages: Storages }): ServedService {
  return serve(LifetimeService, {
    set: (request, context) => set(request, context, deps),
    list: (request) => list(request, deps),
  });
}

/** Sets the end of a repository or of one of its references. */
async function set(
  { storageName, relativePath, reference, lifetime }: SetRequest,
  { signal }: HandlerContext,
  { storages }: { readonly storages: Storages },
): ResponseOf<typeof SetResponseSchema> {
  const repository = storages.open({ storageName, relativePath });
  if (lifetime !== undefined && (lifetime.seconds < 1n || lifetime.seconds > MAX_SECONDS))
    throw invalidArgument('lifetime: not between a second and a century');
  const expiresMs = lifetime && Date.now() + Number(lifetime.seconds) * SECOND_MS;
  const name = reference.length === 0 ? undefined : Buffer.from(reference);
  await setLifetime(repository, { reference: name, expiresMs, signal });
  return { ...(expiresMs !== undefined && { expiresAt: timestampFromMs(expiresMs) }) };
}

/** Returns the ends of a repository and its references. */
async function list(
  target: ListRequest,
  { storages }: { readonly storages: Storages },
): ResponseOf<typeof ListResponseSchema> {
  const { repositoryMs, referencesMs } = await readLifetimes(storages.open(target).path);
  const ofRepository = repositoryMs === undefined ? [] : [{ expiresAt: timestampFromMs(repositoryMs) }];
  const ofReferences = [...referencesMs]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, ms]) => ({ reference: Buffer.from(name, 'latin1'), expiresAt: timestampFromMs(ms) }));
  return { lifetimes: [...ofRepository, ...ofReferences] };
}
