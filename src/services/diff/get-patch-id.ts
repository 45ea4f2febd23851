import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { headAttributes } from '#domain/diff/head-attributes';
import { patchId } from '#git/diff/patch-id';
import type { Handlers } from './dependencies.ts';

/** Returns the id of the change between two revisions: white space counts, line numbers do not. */
export const getPatchId: Handlers['getPatchID'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const { oldRevision: left, newRevision: right, contextFree } = request;
  if (left.length === 0) throw invalidArgument('empty OldRevision');
  if (right.length === 0) throw invalidArgument('empty NewRevision');

  const { signal } = context;
  await using attributes = await headAttributes(repository, { signal });
  const { config } = attributes;
  const printed = await patchId(repository, { left, right }, { contextFree, config, signal });
  if (printed === '')
    throw new GitalyError('FAILED_PRECONDITION', 'no difference between old and new revision');
  const [id = '', second] = printed.split(' ', 2);
  if (second === undefined) throw new GitalyError('FAILED_PRECONDITION', 'unexpected patch ID format');
  return { patchId: id };
};
