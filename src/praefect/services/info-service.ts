import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { GitalyError, invalidArgument, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { type ServedService, serve } from '#rpc/server/handler';
import { PraefectInfoService, type SetAuthoritativeStorageRequest } from '#wire/gen/praefect_pb';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { NodesByStorage } from '../nodes/gitaly-node.ts';
import type { Assignments } from '../store/assignments.ts';
import type { Availability } from '../store/availability.ts';
import type { ReplicaMarks } from '../store/replica-marks.ts';
import type { MetadataReader, RepositoryMetadata } from '../store/repository-metadata.ts';

export interface InfoServiceOptions {
  readonly nodes: NodesByStorage;
  readonly metadata: MetadataReader;
  readonly availability: Availability;
  readonly marks: ReplicaMarks;
  readonly assignments: Assignments;
  readonly primaryOf: (virtualStorage: string, repositoryId: number) => Promise<string | undefined>;
  /** Called with each repository whose replicas have changed, before the answer. */
  readonly onChanged: (repository: RepositoryKey) => Promise<void>;
}

/** Requests of operators about the cluster: reads and changes. */
export function infoService(options: InfoServiceOptions): ServedService {
  const { assignments, marks, metadata, nodes } = options;

  async function* lost(virtualStorage: string, includePartial: boolean) {
    if (!nodes.has(virtualStorage)) throw new Error(`unknown virtual storage: ${quote(virtualStorage)}`);
    for await (const partial of options.availability.partiallyAvailable(virtualStorage)) {
      const losses = partial.map(lossOf).filter(({ unavailable }) => includePartial || unavailable);
      if (losses.length > 0) yield losses;
    }
  }

  return serve(PraefectInfoService, {
    async repositoryReplicas({ repository }, { signal }) {
      const { relativePath = '', storageName = '' } = repository ?? {};
      return await replicasOf(options, { virtualStorage: storageName, relativePath }, signal);
    },
    async datalossCheck({ includePartiallyReplicated, virtualStorage }) {
      const pages = await Array.fromAsync(lost(virtualStorage, includePartiallyReplicated));
      return { repositories: pages.flat() };
    },
    async *dataloss({ includePartiallyReplicated, virtualStorage }) {
      for await (const repositories of lost(virtualStorage, includePartiallyReplicated))
        yield { repositories };
    },
    setAuthoritativeStorage: async (request) => await setAuthoritativeStorage(options, request),
    async markUnverified({ selector }) {
      if (selector.case === undefined) throw new Error('unknown selector: <nil>');
      const replicas =
        selector.case === 'repositoryId'
          ? { repositoryId: Number(selector.value) }
          : selector.case === 'virtualStorage'
            ? { virtualStorage: selector.value }
            : { virtualStorage: selector.value.virtualStorage, storage: selector.value.storage };
      const marked = await marks.markUnverified(replicas).catch(wrapped('schedule verification'));
      return { replicasMarked: BigInt(marked) };
    },
    async setReplicationFactor({ relativePath, replicationFactor, virtualStorage }) {
      const storages = await assignments
        .setReplicationFactor({ virtualStorage, relativePath }, replicationFactor)
        .catch(wrapped('set replication factor'));
      return { storages: [...storages] };
    },
    async getRepositoryMetadata({ query }) {
      if (query.case === undefined) throw new Error('unknown query type: <nil>');
      const found = await (query.case === 'repositoryId'
        ? metadata.byId(Number(query.value))
        : metadata.byPath(query.value)
      ).catch(wrapped('get metadata'));
      if (found === undefined) throw new GitalyError('NOT_FOUND', 'repository not found');
      return metadataMessage(found);
    },
  });
}

async function setAuthoritativeStorage(
  { marks, nodes, onChanged }: InfoServiceOptions,
  { authoritativeStorage, relativePath, virtualStorage }: SetAuthoritativeStorageRequest,
): Promise<Record<string, never>> {
  const ofStorage = nodes.get(virtualStorage);
  if (ofStorage === undefined) throw invalidArgument(`unknown virtual storage: ${quote(virtualStorage)}`);
  if (!ofStorage.some(({ storage }) => storage === authoritativeStorage))
    throw invalidArgument(`unknown authoritative storage: ${quote(authoritativeStorage)}`);
  const repository = { virtualStorage, relativePath };
  if (!(await marks.setAuthoritative(repository, authoritativeStorage)))
    throw invalidArgument('repository does not exist on virtual storage', {
      metadata: {
        virtual_storage: virtualStorage,
        relative_path: relativePath,
        authoritative_storage: authoritativeStorage,
      },
    });
  await onChanged(repository);
  return {};
}

async function replicasOf(
  { metadata, nodes, primaryOf }: InfoServiceOptions,
  repository: RepositoryKey,
  signal: AbortSignal,
) {
  const found = await metadata.byPath(repository).catch(wrapped('get repository id'));
  if (found === undefined) throw new Error('get repository id: repository not found');
  const primary = await primaryOf(repository.virtualStorage, found.repositoryId).catch(
    wrapped('get primary'),
  );
  if (primary === undefined) throw new Error('get primary: no primary');
  const assigned = found.replicas.filter(({ isAssigned }) => isAssigned).map(({ storage }) => storage);
  if (!assigned.includes(primary)) throw new Error(`primary ${quote(primary)} is not an assigned host`);
  const details = async (storage: string) => {
    const node = nodes.get(repository.virtualStorage)?.find((each) => each.storage === storage);
    if (node === undefined)
      throw new Error(`no connection to ${quote(repository.virtualStorage)}/${quote(storage)}`);
    const target = { storageName: storage, relativePath: found.replicaPath };
    const { checksum } = await node.connection.repository.calculateChecksum(
      { repository: target },
      { signal },
    );
    return { repository: { storageName: storage, relativePath: repository.relativePath }, checksum };
  };
  const others = assigned.filter((storage) => storage !== primary);
  return { primary: await details(primary), replicas: await Promise.all(others.map(details)) };
}

function lossOf({ generation, primary, relativePath, replicas }: RepositoryMetadata) {
  return {
    relativePath,
    primary,
    unavailable: !replicas.some(({ isValidPrimary }) => isValidPrimary),
    storages: replicas.map((replica) => ({
      name: replica.storage,
      behindBy: BigInt(generation - replica.generation),
      assigned: replica.isAssigned,
      healthy: replica.isHealthy,
      validPrimary: replica.isValidPrimary,
    })),
  };
}

function metadataMessage(metadata: RepositoryMetadata) {
  const { primary, relativePath, replicaPath, virtualStorage } = metadata;
  return {
    repositoryId: BigInt(metadata.repositoryId),
    virtualStorage,
    relativePath,
    replicaPath,
    primary,
    generation: BigInt(metadata.generation),
    replicas: metadata.replicas.map((replica) => ({
      storage: replica.storage,
      assigned: replica.isAssigned,
      generation: BigInt(replica.generation),
      healthy: replica.isHealthy,
      validPrimary: replica.isValidPrimary,
      ...(replica.verifiedAt && { verifiedAt: timestampFromDate(replica.verifiedAt) }),
    })),
  };
}
