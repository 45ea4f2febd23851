import { invalidArgument } from '#base/gitaly-error';
import { applyAttributes } from '#domain/attributes/apply-attributes';
import { defaultAttributes } from '#domain/attributes/default-attributes';
import type { HandlerContext, ResponseOf, ResponsesOf } from '#rpc/server/handler';
import { requireRevision } from '#services/convert/request/revision';
import { takeBytes } from '#services/convert/request/take-bytes';
import type {
  ApplyGitattributesRequest,
  ApplyGitattributesResponseSchema,
  GetInfoAttributesRequest,
  GetInfoAttributesResponseSchema,
} from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

const PEEL = Buffer.from('^{commit}');

/** Makes `.gitattributes` of a revision apply to a repository of 15.0 and 16.7. */
export async function applyGitattributes(
  request: ApplyGitattributesRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof ApplyGitattributesResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const revision = requireRevision(request.revision, { prefix: 'revision: ' });
  const { signal } = context;
  const commit = await repository.objects.info(Buffer.concat([revision, PEEL]), { signal });
  if (commit === undefined) throw invalidArgument('revision does not exist');

  await applyAttributes(repository, commit.oid, { vote: deps.voteOf(context), signal });
  return {};
}

/** Streams `.gitattributes` of HEAD; one empty message if there is none. */
export async function* getInfoAttributes(
  request: GetInfoAttributesRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponsesOf<typeof GetInfoAttributesResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const file = await defaultAttributes(repository, context.signal);
  let isEmpty = true;
  for await (const attributes of takeBytes(file?.stream ?? [], file?.size ?? 0)) {
    isEmpty = false;
    yield { attributes };
  }
  if (isEmpty) yield {};
}
