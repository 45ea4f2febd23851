import { create } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { tagReference } from '#domain/revisions/reference-names';
import { findTag as findFirstTag } from '#domain/tag/find-tag';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import { usesMailmap } from '#services/convert/request/feature-flags';
import { toTagMessage } from '#services/convert/response/tag';
import { FindTagErrorSchema, type FindTagRequest, type FindTagResponseSchema } from '#wire/gen/ref_pb';
import type { RefDependencies } from '../dependencies.ts';

const TAGS = Buffer.from('refs/tags/');

/**
 * Finds a tag by its name, which may be a pattern as for `git tag --list`: the first match is
 * returned.
 */
export async function findTag(
  request: FindTagRequest,
  context: HandlerContext,
  deps: RefDependencies,
): ResponseOf<typeof FindTagResponseSchema> {
  const repository = deps.storages.open(request.repository);
  if (request.tagName.length === 0) throw invalidArgument('tag name is empty');

  const { signal, log } = context;
  const options = { mailmap: usesMailmap(context), signal, log };
  const found = await findFirstTag(repository, Buffer.from(request.tagName), options);
  if (found === undefined) {
    const value = { referenceName: tagReference(request.tagName) };
    const details = [create(FindTagErrorSchema, { error: { case: 'tagNotFound', value } })];
    throw new GitalyError('NOT_FOUND', 'tag does not exist', { details });
  }
  const { ref, tag, commit } = found;
  return { tag: toTagMessage({ name: ref.name.subarray(TAGS.length), oid: ref.oid, tag, commit }) };
}
