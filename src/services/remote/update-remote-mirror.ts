import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { HeldBytes } from '#base/memory/held-bytes';
import { updateMirror } from '#domain/remote/mirror/update-mirror';
import { openRequests } from '#services/convert/request/first-request';
import type { UpdateRemoteMirrorRequest } from '#wire/gen/remote_pb';
import type { Handlers } from './dependencies.ts';

/** Limit of the patterns: each is compared with every branch. */
const MAX_PATTERNS = 10_000;
/** Memory for the patterns. */
const MAX_PATTERN_BYTES = 16 * 1024 * 1024;

/** Pushes branches and tags to a mirror. */
export const updateRemoteMirror: Handlers['updateRemoteMirror'] = async (
  requests,
  { signal },
  { storages },
) => {
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
