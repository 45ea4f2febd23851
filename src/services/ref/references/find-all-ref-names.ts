import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import type {
  FindAllBranchNamesRequest,
  FindAllBranchNamesResponseSchema,
  FindAllTagNamesRequest,
  FindAllTagNamesResponseSchema,
} from '#wire/gen/ref_pb';
import type { RefDependencies } from '../dependencies.ts';
import { chunkNames } from './ref-names.ts';

/** Lists the full names of all branches. Clients of 15.0 only. */
export async function* findAllBranchNames(
  request: FindAllBranchNamesRequest,
  { signal }: HandlerContext,
  deps: RefDependencies,
): ResponsesOf<typeof FindAllBranchNamesResponseSchema> {
  const { refs } = deps.storages.open(request.repository);
  for await (const names of chunkNames(refs.list({ patterns: ['refs/heads/'] }, { signal }))) yield { names };
}

/** Lists the full names of all tags. Clients of 15.0 only. */
export async function* findAllTagNames(
  request: FindAllTagNamesRequest,
  { signal }: HandlerContext,
  deps: RefDependencies,
): ResponsesOf<typeof FindAllTagNamesResponseSchema> {
  const { refs } = deps.storages.open(request.repository);
  for await (const names of chunkNames(refs.list({ patterns: ['refs/tags/'] }, { signal }))) yield { names };
}
