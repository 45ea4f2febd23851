import { createHash } from 'node:crypto';
import { toBinary } from '@bufbuild/protobuf';
import { mapInTurns } from '#base/async/loop-turns';
import { invalidArgument, withCode } from '#base/gitaly-error';
import { archivePath, findArchiveSource } from '#domain/archive/archive-source';
import { type LfsFilter, lfsFilter } from '#domain/archive/lfs-filter';
import { sharedArchive } from '#domain/archive/shared-archive';
import type { ArchiveFormat } from '#domain/archive/write-archive';
import { lfsIdsOf } from '#domain/settings/lfs-ids';
import type { HandlerContext } from '#rpc/server/handler';
import { requireRevision } from '#services/convert/request/revision';
import { lentMessages } from '#services/convert/response/lent-messages';
import type { Repository } from '#storage/repository';
import {
  GetArchiveRequest_Format as Format,
  type GetArchiveRequest,
  GetArchiveRequestSchema,
} from '#wire/gen/repository_pb';
import type { Handlers, RepositoryDependencies } from '../dependencies.ts';

const FORMATS: Readonly<Partial<Record<Format, ArchiveFormat>>> = {
  [Format.ZIP]: 'zip',
  [Format.TAR]: 'tar',
  [Format.TAR_GZ]: 'tar.gz',
  [Format.TAR_BZ2]: 'tar.bz2',
};

/** Streams an archive of a revision, or of a file or directory in it. */
export const getArchive: Handlers['getArchive'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  const path = archivePath(request.path);
  const excludes = await mapInTurns(request.exclude, archivePath);
  const revision = requireRevision(Buffer.from(request.commitId), { prefix: 'invalid commitId: ' });
  const format = FORMATS[request.format];
  if (format === undefined) throw invalidArgument('invalid format');

  const { signal } = context;
  const paths = { path, excludes, isElided: request.elidePath };
  const source = await findArchiveSource(repository, revision, paths, signal);
  deps.logDetails?.({ request_hash: hashOf(request) }, context);
  const lfs = request.includeLfsBlobs ? await lfsOf(repository, context, deps) : undefined;
  const options = { format, prefix: request.prefix, lfs };
  const { log } = context;
  const archive = sharedArchive(repository, { source, options }, deps.archives, { signal, log });
  try {
    for await (const lent of archive) yield* lentMessages(lent, (data) => ({ data }));
  } catch (error) {
    throw withCode(error, 'INTERNAL');
  }
};

/** Returns a hash that is equal for equal requests, by which logs are searched for them. */
function hashOf(request: GetArchiveRequest): string {
  return createHash('sha256').update(toBinary(GetArchiveRequestSchema, request)).digest('hex');
}

async function lfsOf(
  repository: Repository,
  { correlationId }: HandlerContext,
  { lfsFilter: settings }: RepositoryDependencies,
): Promise<LfsFilter | undefined> {
  if (settings === undefined) return undefined;
  const ids = await lfsIdsOf(repository);
  return lfsFilter(settings, { glRepository: repository.glRepository, ids, correlationId });
}
