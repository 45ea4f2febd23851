import { invalidArgument, wrap } from '#base/gitaly-error';
import { exportHistory } from '#domain/history/export-history';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { takeBytes } from '#services/convert/request/take-bytes';
import type { FastExportRequest, FastExportResponseSchema } from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Streams the whole history in the format of `git fast-import`. */
export async function* fastExport(
  request: FastExportRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponsesOf<typeof FastExportResponseSchema> {
  if (request.repository === undefined) throw invalidArgument('repository is not set');
  const repository = open(request, deps);
  const bytes = exportHistory(repository, context);
  for await (const data of takeBytes(bytes, Number.POSITIVE_INFINITY)) yield { data };
}

function open({ repository }: FastExportRequest, deps: RepositoryDependencies) {
  try {
    return deps.storages.open(repository);
  } catch (error) {
    throw wrap(error, 'cmd start failed: get repo path');
  }
}
