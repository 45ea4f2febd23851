import { create } from '@bufbuild/protobuf';
import { invalidArgument, wrap, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { createFromBundle } from '#domain/create-copy/create-from-bundle';
import { createFromSnapshot } from '#domain/create-copy/create-from-snapshot';
import { createFromUrl, isRemoteNotFound } from '#domain/create-copy/create-from-url';
import { allBytesOf, openRequests } from '#services/convert/request/first-request';
import { createRepository as createEmpty } from '#storage/lifecycle/create-repository';
import { CreateRepositoryFromURLErrorSchema } from '#wire/gen/repository_pb';
import { ObjectFormat } from '#wire/gen/shared_pb';
import type { Handlers } from '../dependencies.ts';

/** Creates an empty repository, whole or not at all. */
export const createRepository: Handlers['createRepository'] = async (request, context, deps) => {
  deps.storages.locate(request.repository);
  const objectFormat = gitObjectFormat(request.objectFormat);
  const initialBranch = request.defaultBranch.length > 0 ? { initialBranch: request.defaultBranch } : {};

  const { signal } = context;
  await createEmpty(deps.storages, request.repository, {
    objectFormat,
    ...initialBranch,
    signal,
    vote: deps.voteOf(context),
  }).catch(wrapped('creating repository'));
  return {};
};

/**
 * Returns git's name of the format. The wire format allows numbers that the enumeration does not
 * have.
 */
function gitObjectFormat(format: ObjectFormat): 'sha1' | 'sha256' {
  switch (format) {
    case ObjectFormat.UNSPECIFIED:
    case ObjectFormat.SHA1:
      return 'sha1';
    case ObjectFormat.SHA256:
      return 'sha256';
    default:
      throw invalidArgument(`unknown object format: ${quote(String(format))}`);
  }
}

/** Creates a repository from the bytes of a bundle, whole or not at all. */
export const createRepositoryFromBundle: Handlers['createRepositoryFromBundle'] = async (
  requests,
  context,
  deps,
) => {
  const opened = await openRequests(requests, 'first request failed: EOF');
  const { first } = opened;
  deps.storages.locate(first.repository);

  const pieces = allBytesOf(opened, ({ data }) => data);
  const options = { signal: context.signal, vote: deps.voteOf(context) };
  await createFromBundle(deps.storages, first.repository, pieces, options).catch(
    wrapped('creating repository'),
  );
  return {};
};

/** Creates a repository from a snapshot that a web server sends, whole or not at all. */
export const createRepositoryFromSnapshot: Handlers['createRepositoryFromSnapshot'] = async (
  request,
  context,
  deps,
) => {
  deps.storages.locate(request.repository);

  const source = {
    url: request.httpUrl,
    resolvedAddress: request.resolvedAddress,
    authorization: request.httpAuth,
  };
  const options = { source, vote: deps.voteOf(context), signal: context.signal };
  await createFromSnapshot(deps.storages, request.repository, options).catch(wrapped('creating repository'));
  return {};
};

/** Creates a repository by cloning a URL, whole or not at all. */
export const createRepositoryFromUrl: Handlers['createRepositoryFromURL'] = async (
  request,
  context,
  deps,
) => {
  deps.storages.locate(request.repository);
  if (request.url === '') throw invalidArgument('empty Url');

  const remote = {
    url: request.url,
    resolvedAddress: request.resolvedAddress,
    authorization: request.httpAuthorizationHeader,
    userInfo: 'always' as const,
    allowsLocal: true,
  };
  const options = { remote, isMirror: request.mirror, vote: deps.voteOf(context), signal: context.signal };
  await createFromUrl(deps.storages, request.repository, options).catch((error: unknown) => {
    throw wrap(error, 'creating repository', 'INTERNAL', { details: detailsOf(error) });
  });
  return {};
};

function detailsOf(error: unknown) {
  if (!isRemoteNotFound(error)) return [];
  const detail = { case: 'remoteNotFound', value: {} } as const;
  return [create(CreateRepositoryFromURLErrorSchema, { error: detail })];
}
