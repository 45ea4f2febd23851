import { GitalyError, invalidArgument, wrapped } from '#base/gitaly-error';
import { HeldBytes } from '#base/memory/held-bytes';
import { existsRemote, findRemoteRootRef as find } from '#domain/remote/mirror/find-remote';
import { updateMirror } from '#domain/remote/mirror/update-mirror';
import { serveWith } from '#rpc/server/handler';
import { openRequests } from '#services/convert/request/first-request';
import { RemoteService, type UpdateRemoteMirrorRequest } from '#wire/gen/remote_pb';
import type { Handlers, RemoteDependencies } from './dependencies.ts';

/** Repositories of other servers. */
export function remoteService(deps: RemoteDependencies) {
  return serveWith(RemoteService, deps, {
    findRemoteRepository,
    findRemoteRootRef,
    updateRemoteMirror,
  });
}

/** Reports whether there is a repository with commits at a URL. The storage only routes the call. */
const findRemoteRepository: Handlers['findRemoteRepository'] = async (
  { remote: url },
  { signal },
  { storages },
) => {
  if (url === '') throw invalidArgument("empty remote can't be checked.");
  const [storage] = storages.all;
  if (storage === undefined) throw new GitalyError('INTERNAL', 'the server has no storage');
  const remote = {
    url,
    resolvedAddress: '',
    authorization: '',
    userInfo: 'asked',
    allowsLocal: true,
  } as const;
  const exists = await existsRemote(storages.git, storage, remote, signal).catch(
    wrapped('error executing git command'),
  );
  return { exists };
};

/** Returns the default branch of a remote repository. */
const findRemoteRootRef: Handlers['findRemoteRootRef'] = async (request, { signal }, { storages }) => {
  if (request.remoteUrl === '') throw invalidArgument('missing remote URL');
  const repository = storages.open(request.repository);
  const remote = {
    url: request.remoteUrl,
    resolvedAddress: request.resolvedAddress,
    authorization: request.httpAuthorizationHeader,
    userInfo: 'asked' as const,
    allowsLocal: true,
  };
  return { ref: await find(repository, remote, signal) };
};

/** Limit of the patterns: each is compared with every branch. */
const MAX_PATTERNS = 10_000;
/** Memory for the patterns. */
const MAX_PATTERN_BYTES = 16 * 1024 * 1024;

/** Pushes branches and tags to a mirror. */
const updateRemoteMirror: Handlers['updateRemoteMirror'] = async (requests, { signal }, { storages }) => {
  const { first, rest } = await openRequests(requests, 'receive first request: EOF');
  const repository = storages.open(first.repository);
  const { remote } = first;
  if (remote === undefined) throw invalidArgument('missing Remote');
  if (remote.url === '') throw invalidArgument('remote is missing URL');

  const patterns: string[] = [];
  using held = new HeldBytes(MAX_PATTERN_BYTES, 'patterns');
  const take = ({ onlyBranchesMatching }: UpdateRemoteMirrorRequest): void => {
    for (const pattern of onlyBranchesMatching) {
      held.add(pattern);
      patterns.push(Buffer.from(pattern).toString('latin1'));
    }
    if (patterns.length > MAX_PATTERNS)
      throw new GitalyError('RESOURCE_EXHAUSTED', `more than ${MAX_PATTERNS} patterns`);
  };
  take(first);
  for await (const request of rest) take(request);

  const divergent = await updateMirror(repository, {
    remote: {
      url: remote.url,
      resolvedAddress: remote.resolvedAddress,
      authorization: remote.httpAuthorizationHeader,
      userInfo: 'asked',
      allowsLocal: true,
      ssh: { key: first.sshKey, knownHosts: first.knownHosts },
    },
    patterns,
    keepsDivergent: first.keepDivergentRefs,
    signal,
  });
  return { divergentRefs: divergent.map((name) => Buffer.from(name, 'latin1')) };
};
