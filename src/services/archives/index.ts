import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Archive, RestoreRequest as RestoreOptions } from '#archive/archive';
import type { LoggedGeneration } from '#archive/log';
import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { type ServedService, type ServiceImplementation, serve } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import { ArchiveService, type RestoreRequest } from '#wire/gen/gitalyts/archives/v1/archives_pb';
import {
  encodeGeneration,
  encodeRepository,
  encodeRestored,
  encodeStatus,
  encodeVerified,
} from './messages.ts';

export interface ArchiveDependencies {
  readonly storages: Pick<Storages, 'storage'>;
  /** `undefined` if no storage is archived. */
  readonly archive:
    | Pick<Archive, 'status' | 'prune' | 'repositories' | 'log' | 'restore' | 'restoreStorage' | 'verify'>
    | undefined;
}

type Handlers = Required<ServiceImplementation<typeof ArchiveService>>;
type Single = 'getStatus' | 'prune';
type Request<Name extends keyof Handlers> = Parameters<Handlers[Name]>[0];

/** The calls of the service: the first process of a server answers them for all. */
export type ArchiveCalls = {
  readonly [N in Single]: (request: Request<N>) => Extract<ReturnType<Handlers[N]>, Promise<unknown>>;
} & {
  readonly [N in Exclude<keyof Handlers, Single>]: (
    request: Request<N>,
    signal: AbortSignal,
  ) => ReturnType<Handlers[N]>;
};

/** Implements the archives of storages. */
export function archiveService(calls: ArchiveCalls): ServedService {
  return serve(ArchiveService, {
    getStatus: (request) => calls.getStatus(request),
    listRepositories: (request, { signal }) => calls.listRepositories(request, signal),
    listGenerations: (request, { signal }) => calls.listGenerations(request, signal),
    restore: (request, { signal }) => calls.restore(request, signal),
    verify: (request, { signal }) => calls.verify(request, signal),
    prune: (request) => calls.prune(request),
  });
}

/** Kinds of generations that change the repository, or represent such. */
const CHANGES: ReadonlySet<string> = new Set(['create', 'write', 'removed', 'checkpoint']);
/** Repositories or generations of a response. */
const PAGE = 100;

/** Returns the calls for the process that writes the archives. */
export function archiveCalls({ archive, storages }: ArchiveDependencies): ArchiveCalls {
  const archived = (storageName: string): NonNullable<typeof archive> => {
    storages.storage(storageName);
    if (archive === undefined)
      throw new GitalyError('NOT_FOUND', 'the storage has no archive: set archive in its [[storage]]');
    return archive;
  };
  return {
    async getStatus({ storageName }) {
      storages.storage(storageName);
      return { archives: archive?.status(storageName).map(encodeStatus) ?? [] };
    },
    async *listRepositories({ archive: index, storageName }, signal) {
      const found = archived(storageName).repositories(storageName, index);
      for await (const page of pagesOf(found, signal)) yield { repositories: page.map(encodeRepository) };
    },
    async *listGenerations({ archive: index, limit, relativePath, storageName }, signal) {
      const target = { storage: storageName, path: requiredPath(relativePath) };
      const found = changesOf(archived(storageName).log(target, index));
      for await (const page of pagesOf(found, signal, limit || undefined))
        yield { generations: page.map(encodeGeneration) };
    },
    async *verify({ archive: index, full: isFull, storageName }, signal) {
      const options = { archive: index, isFull, signal };
      for await (const verified of archived(storageName).verify(storageName, options))
        yield encodeVerified(verified);
    },
    async prune({ storageName }) {
      await archived(storageName).prune(storageName);
      return {};
    },
    async *restore(request, signal) {
      const { archive: index, relativePath: path, storageName: storage } = request;
      const from = archived(storage);
      if (path === '') {
        const options = { archive: index, signal, ...timeOfAll(request) };
        for await (const restored of from.restoreStorage(storage, options)) yield encodeRestored(restored);
        return;
      }
      const to = request.toRelativePath || path;
      const { replace: replaces, repositoryId: idPrefix } = request;
      const options = { archive: index, to, replaces, idPrefix, signal, ...momentOf(request) };
      const reason = await from.restore({ storage, path }, options);
      yield encodeRestored({ path: to, result: 'restored', reason });
    },
  };
}

/** Leaves out generations without a change of the repository. */
async function* changesOf(generations: AsyncIterable<LoggedGeneration>): AsyncGenerator<LoggedGeneration> {
  for await (const each of generations) if (CHANGES.has(each.kind)) yield each;
}

/** Groups items into pages, up to a number of items. */
async function* pagesOf<T>(
  items: AsyncIterable<T>,
  signal: AbortSignal,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<readonly T[]> {
  let page: T[] = [];
  let left = limit;
  for await (const item of items) {
    signal.throwIfAborted();
    page.push(item);
    if (--left === 0) break;
    if (page.length < PAGE) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

function requiredPath(relativePath: string): string {
  if (relativePath === '') throw invalidArgument('relative_path is empty');
  return relativePath;
}

function momentOf({ at }: RestoreRequest): Pick<RestoreOptions, 'at'> {
  if (at.case === undefined) return {};
  return {
    at: at.case === 'generation' ? { generation: Number(at.value) } : { timeMs: timestampMs(at.value) },
  };
}

/** Returns the time for all repositories. @throws {GitalyError} INVALID_ARGUMENT for what is of one repository. */
function timeOfAll({ at, replace, toRelativePath }: RestoreRequest): { readonly timeMs?: number } {
  if (at.case === 'generation' || replace || toRelativePath !== '')
    throw invalidArgument('relative_path is empty: generation, to_relative_path and replace need one');
  return at.case === 'time' ? { timeMs: timestampMs(at.value) } : {};
}
