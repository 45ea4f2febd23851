import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '#base/gitaly-error';
import { readLifetimes } from '#domain/lifetimes/lifetime-file';
import { setLifetime } from '#domain/lifetimes/set-lifetime';
import { type HandlersOf, serveWith } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import { LifetimeService } from '#wire/gen/gitalyts/lifetimes/v1/lifetimes_pb';

const SECOND_MS = 1000;
/** A century: a longer time means "no end". */
const MAX_SECONDS = 3_155_760_000n;

interface LifetimeDependencies {
  readonly storages: Storages;
}

type Handlers = HandlersOf<typeof LifetimeService, LifetimeDependencies>;

/** Implements the ends of repositories and references. */
export function lifetimeService(deps: LifetimeDependencies) {
  return serveWith(LifetimeService, deps, { set, list });
}

/** Sets the end of a repository or of one of its references. */
const set: Handlers['set'] = async (
  { storageName, relativePath, reference, lifetime },
  { signal },
  { storages },
) => {
  const repository = storages.open({ storageName, relativePath });
  if (lifetime !== undefined && (lifetime.seconds < 1n || lifetime.seconds > MAX_SECONDS))
    throw invalidArgument('lifetime: not between a second and a century');
  const expiresMs = lifetime && Date.now() + Number(lifetime.seconds) * SECOND_MS;
  const name = reference.length === 0 ? undefined : Buffer.from(reference);
  await setLifetime(repository, { reference: name, expiresMs, signal });
  return { ...(expiresMs !== undefined && { expiresAt: timestampFromMs(expiresMs) }) };
};

/** Returns the ends of a repository and its references. */
const list: Handlers['list'] = async (target, _context, { storages }) => {
  const { repositoryMs, referencesMs } = await readLifetimes(storages.open(target).path);
  const ofRepository = repositoryMs === undefined ? [] : [{ expiresAt: timestampFromMs(repositoryMs) }];
  const ofReferences = [...referencesMs]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, ms]) => ({ reference: Buffer.from(name, 'latin1'), expiresAt: timestampFromMs(ms) }));
  return { lifetimes: [...ofRepository, ...ofReferences] };
};
