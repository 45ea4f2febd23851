import { create } from '@bufbuild/protobuf';
import { eachInTurn } from '#base/async/loop-turns';
import { GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import { deleteReferences } from '#domain/ref-update/delete-references';
import { startsWithAny } from '#git/names/prefixes';
import { validateRevision } from '#git/names/validate-revision';
import { RefUpdateError } from '#git/refs/update/ref-update-error';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import {
  DeleteRefsErrorSchema,
  type DeleteRefsRequest,
  type DeleteRefsResponseSchema,
} from '#wire/gen/ref_pb';
import type { RefDependencies } from '../dependencies.ts';

const HEAD = Buffer.from('HEAD');

/** Deletes references by name, or all except those with some prefixes; all or none. */
export async function deleteRefs(
  request: DeleteRefsRequest,
  context: HandlerContext,
  deps: RefDependencies,
): ResponseOf<typeof DeleteRefsResponseSchema> {
  const repository = deps.storages.open(request.repository);
  checkFields(request);
  const { signal } = context;
  const names =
    request.refs.length > 0 ? request.refs : await namesExcept(repository, request.exceptWithPrefix, signal);
  const bad: Uint8Array[] = [];
  await eachInTurn(names, (name) => {
    if (validateRevision(name) !== undefined || HEAD.equals(name)) bad.push(name);
  });
  if (bad.length > 0) {
    // Gitaly deletes HEAD on request, after which the repository is invalid.
    const details = [
      create(DeleteRefsErrorSchema, { error: { case: 'invalidFormat', value: { refs: bad } } }),
    ];
    throw invalidArgument('invalid references', { details });
  }
  await deleteReferences(repository, names, { vote: deps.voteOf(context), signal }).catch(refuse);
  return {};
}

function checkFields({ refs, exceptWithPrefix }: DeleteRefsRequest): void {
  const problem =
    refs.length > 0 && exceptWithPrefix.length > 0
      ? 'ExceptWithPrefix and Refs are mutually exclusive'
      : refs.length === 0 && exceptWithPrefix.length === 0
        ? 'empty ExceptWithPrefix and Refs'
        : exceptWithPrefix.some((prefix) => prefix.length === 0)
          ? 'empty prefix for exclusion'
          : refs.some((ref) => ref.length === 0)
            ? 'empty ref'
            : undefined;
  if (problem !== undefined) throw invalidArgument(problem);
}

/** Prefixes are bytes: `refs/heads/m` keeps `refs/heads/main`. */
async function namesExcept(
  repository: Repository,
  prefixes: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<Buffer[]> {
  const isKept = await startsWithAny(prefixes, signal);
  const names: Buffer[] = [];
  for await (const refs of repository.refs.list({ patterns: ['refs/'] }, { signal }))
    for (const { name } of refs) if (!isKept(name)) names.push(name);
  return names;
}

function refuse(error: unknown): never {
  const cause = error instanceof GitalyError ? error.cause : undefined;
  if (!(cause instanceof RefUpdateError && cause.problem === 'locked')) throw error;
  const refs = [cause.facts.reference ?? Buffer.alloc(0)];
  const details = [create(DeleteRefsErrorSchema, { error: { case: 'referencesLocked', value: { refs } } })];
  throw wrap(cause, 'cannot lock references', 'ABORTED', { details });
}
