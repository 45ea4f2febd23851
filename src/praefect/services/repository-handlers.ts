import { limitedSignal } from '#base/async/limited-signal';
import { GitalyError, invalidArgument, messageOf, wrap, wrapped } from '#base/gitaly-error';
import { asGoStatus } from '#base/go/status';
import type { Logger } from '#platform/log/logger';
import type { HandlerContext } from '#rpc/server/handler';
import type { RawHandler } from '#rpc/server/route';
import { InternalGitaly } from '#wire/gen/internal_pb';
import { ObjectPoolService } from '#wire/gen/objectpool_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import type { Repository } from '#wire/gen/shared_pb';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { GitalyNode, NodesByStorage } from '../nodes/gitaly-node.ts';
import { MAX_ATTEMPTS } from '../proxy/gone-node.ts';
import type { FindLost } from '../repair/lost-replicas.ts';
import { isRailsPoolPath, poolIdOf } from '../routing/replica-path.ts';
import type { AccessorRoute, Router } from '../routing/routes.ts';
import type { RepositoryLookups } from '../store/repository-lookups.ts';
import type { RepositoryRemovals } from '../store/repository-removals.ts';
import { answerLocally, answerStream, type LocalHandlers } from './local-handler.ts';

/** Limit for the removal of a repository on all nodes. */
const REMOVAL_LIMIT_MS = 10_000;

export interface RepositoryHandlersOptions {
  readonly nodes: NodesByStorage;
  readonly router: Router;
  readonly lookups: RepositoryLookups;
  readonly removals: RepositoryRemovals;
  readonly logger: Logger;
  /** Called with each repository whose record has changed, before the answer. */
  readonly onChanged: (repository: RepositoryKey) => Promise<void>;
  /** Finds replicas that a node has lost. `undefined` if their records are to be kept. */
  readonly findLost?: FindLost | undefined;
}

type RepositoryHandler = readonly [path: string, handler: RawHandler];

/** Methods on repositories that only use the database, or that change the database first. */
export function repositoryHandlers(parts: RepositoryHandlersOptions): LocalHandlers {
  const { lookups, nodes, removals } = parts;
  return new Map([
    answerLocally(RepositoryService.method.removeRepository, async ({ repository }, context) => {
      if (repository === undefined) throw invalidArgument('repository not set');
      const isFound = await remove(parts, repository, context, (node, target, options) =>
        node.connection.repository.removeRepository({ repository: target }, options),
      );
      if (!isFound) throw new GitalyError('NOT_FOUND', 'repository does not exist');
      return {};
    }),
    answerLocally(ObjectPoolService.method.deleteObjectPool, async ({ objectPool }, context) => {
      const repository = objectPool?.repository;
      if (repository === undefined) throw invalidArgument('no object pool repository');
      if (!isRailsPoolPath(repository.relativePath)) throw invalidArgument('invalid object pool directory');
      await remove(parts, repository, context, (node, target, options) =>
        node.connection.objectPool.deleteObjectPool({ objectPool: { repository: target } }, options),
      );
      return {};
    }),
    answerLocally(RepositoryService.method.repositoryExists, async ({ repository }) => {
      const exists = await lookups.exists(checked(repository)).catch(wrapped('repository exists'));
      return { exists };
    }),
    renameHandler(parts),
    answerLocally(RepositoryService.method.removeAll, async ({ storageName }, { correlationId, signal }) => {
      if (storageName === '') throw invalidArgument('storage name not set');
      const ofStorage = nodes.get(storageName);
      if (ofStorage === undefined) throw invalidArgument('virtual storage does not exist');
      await removals.removeAll(storageName);
      await Promise.all(
        ofStorage.map(({ connection, storage }) =>
          connection.repository.removeAll({ storageName: storage }, { signal, correlationId }),
        ),
      );
      return {};
    }),
    backupHandler(parts),
    getObjectPoolHandler(parts),
    answerStream(InternalGitaly.method.walkRepos, async function* ({ storageName }) {
      if (storageName === '') throw invalidArgument('storage name not set');
      for await (const paths of lookups.relativePaths(storageName))
        for (const relativePath of paths) yield { relativePath };
    }),
  ]);
}

/** Makes a node back up the repository. */
function backupHandler({ findLost, router }: RepositoryHandlersOptions): RepositoryHandler {
  const routeOf = (key: RepositoryKey): Promise<AccessorRoute> =>
    router.accessor(key, { onPrimary: false }).catch(async (error) => {
      if (!isNotFound(error)) throw error;
      // The node reports that there is nothing to back up.
      return { node: await router.storageAccessor(key.virtualStorage), replicaPath: key.relativePath };
    });
  return answerLocally(
    RepositoryService.method.backupRepository,
    async (request, { correlationId, signal }) => {
      if (request.repository === undefined) throw invalidArgument('repository not set');
      const key = repositoryKey(request.repository);
      for (let attempt = 1; ; attempt++) {
        const { node, replicaPath } = await routeOf(key);
        const repository = { ...request.repository, storageName: node.storage, relativePath: replicaPath };
        const options = { signal, correlationId };
        try {
          return await node.connection.repository.backupRepository({ ...request, repository }, options);
        } catch (error) {
          // A missing backup would look like that of a missing repository.
          const isLost = await findLost?.({ node, repository: key, error, correlationId });
          if (isLost !== true || attempt >= MAX_ATTEMPTS) throw error;
        }
      }
    },
  );
}

/** Reads the pool of a repository from a node, and returns it with the clients' names. */
function getObjectPoolHandler({ lookups, router }: RepositoryHandlersOptions): RepositoryHandler {
  return answerLocally(
    ObjectPoolService.method.getObjectPool,
    async ({ repository }, { correlationId, signal }) => {
      if (repository === undefined || repository.storageName === '' || repository.relativePath === '')
        throw invalidArgument('repository not set');
      const key = repositoryKey(repository);
      const { node, replicaPath } = await router.accessor(key, { onPrimary: false }).catch((error) => {
        throw wrap(error, isNotFound(error) ? 'route RPC: consistent storages' : 'route RPC');
      });
      const target = { storageName: node.storage, relativePath: replicaPath };
      const { objectPool } = await node.connection.objectPool
        .getObjectPool({ repository: target }, { signal, correlationId })
        .catch((error) => {
          throw wrap(asGoStatus(error), 'get object pool');
        });
      if (objectPool === undefined) return {};
      const path = objectPool.repository?.relativePath ?? '';
      const id = poolIdOf(path);
      const relativePath = id === undefined ? path : await lookups.relativePathOf(id);
      if (relativePath === undefined)
        throw new Error('get Praefect repository metadata: repository not found');
      return { objectPool: { repository: { storageName: key.virtualStorage, relativePath } } };
    },
  );
}

/** Renames a repository in the database alone: its path on the nodes stays. */
export function renameHandler({
  onChanged,
  removals,
}: Pick<RepositoryHandlersOptions, 'onChanged' | 'removals'>): RepositoryHandler {
  return answerLocally(RepositoryService.method.renameRepository, async ({ relativePath, repository }) => {
    const from = checked(repository);
    if (relativePath === '') throw invalidArgument('destination relative path is empty');
    await removals.rename(from, relativePath);
    await Promise.all([from, { ...from, relativePath }].map(onChanged));
    return {};
  });
}

type CallNode = (
  node: GitalyNode,
  repository: Repository,
  options: { signal: AbortSignal; correlationId: string },
) => Promise<unknown>;

/** Removes a repository from the database, then on its nodes. Returns false if it is unknown. */
async function remove(
  { logger, nodes, onChanged, removals }: RepositoryHandlersOptions,
  repository: Repository,
  { correlationId, signal }: HandlerContext,
  call: CallNode,
): Promise<boolean> {
  const key = repositoryKey(repository);
  const removed = await removals.remove(key).catch(wrapped('delete repository'));
  if (removed === undefined) return false;
  await onChanged(key);
  using limited = limitedSignal(REMOVAL_LIMIT_MS, signal);
  const having = (nodes.get(key.virtualStorage) ?? []).filter(({ storage }) =>
    removed.storages.includes(storage),
  );
  await Promise.all(
    having.map(async (node) => {
      const target = { ...repository, storageName: node.storage, relativePath: removed.replicaPath };
      try {
        await call(node, target, { signal: limited.signal, correlationId });
      } catch (error) {
        logger.error(
          {
            error: messageOf(error),
            virtual_storage: key.virtualStorage,
            relative_path: key.relativePath,
            storage: node.storage,
          },
          'failed deleting repository',
        );
      }
    }),
  );
  return true;
}

/** @throws {GitalyError} INVALID_ARGUMENT */
function checked(repository: Repository | undefined): RepositoryKey {
  if (repository === undefined) throw invalidArgument('repository not set');
  if (repository.storageName === '') throw invalidArgument('storage name not set');
  if (repository.relativePath === '') throw invalidArgument('repository path not set');
  return repositoryKey(repository);
}

function repositoryKey({ relativePath, storageName }: Repository): RepositoryKey {
  return { virtualStorage: storageName, relativePath };
}

function isNotFound(error: unknown): boolean {
  return error instanceof GitalyError && error.code === 'NOT_FOUND';
}
