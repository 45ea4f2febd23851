import { timerMs } from '#base/async/timer-ms';
import { invalidArgument } from '#base/gitaly-error';
import { fetchRemote as fetch } from '#domain/remote/fetch/fetch-remote';
import type { FeatureFlag } from '#platform/flags/feature-flags';
import type { Handlers } from '../dependencies.ts';

const REFSPECS: ReadonlyMap<string, string> = new Map([
  ['all_refs', 'refs/*:refs/*'],
  ['heads', 'refs/heads/*:refs/heads/*'],
  ['tags', 'refs/tags/*:refs/tags/*'],
]);
/** On: user and password of the URL are sent with the first request, not after a response 401. */
const PROACTIVE_AUTH: FeatureFlag = { name: 'fetch_remote_proactive_auth', onByDefault: false };
const TAGS = Buffer.from('refs/tags');

/** Fetches references and objects from a URL. */
export const fetchRemote: Handlers['fetchRemote'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const { remoteParams } = request;
  if (remoteParams === undefined) throw invalidArgument('missing remote params');
  if (remoteParams.url === '') throw invalidArgument('blank or empty remote URL');

  const refmaps = remoteParams.mirrorRefmaps;
  const { removed, updated } = await fetch(repository, {
    remote: {
      url: remoteParams.url,
      resolvedAddress: remoteParams.resolvedAddress,
      authorization: remoteParams.httpAuthorizationHeader,
      userInfo: context.flags.isEnabled(PROACTIVE_AUTH) ? 'proactive' : 'asked',
      allowsLocal: true,
      ssh: { key: request.sshKey, knownHosts: request.knownHosts },
    },
    refspecs: (refmaps.length === 0 ? ['all_refs'] : refmaps).map((refmap) => REFSPECS.get(refmap) ?? refmap),
    force: request.force,
    prune: !request.noPrune,
    tags: !request.noTags,
    hooks: deps.transactionHooks(context),
    signal: withTimeout(context.signal, request.timeout),
  });
  context.log.add({ 'fetch.removed': removed.length, 'fetch.updated': updated.length });
  const areTagsChanged = updated.some(({ name }) => TAGS.equals(name.subarray(0, TAGS.length)));
  return { tagsChanged: !request.checkTagsChanged || areTagsChanged, repoChanged: updated.length > 0 };
};

/** @param seconds 0 for no limit. */
function withTimeout(signal: AbortSignal, seconds: number): AbortSignal {
  return seconds > 0 ? AbortSignal.any([signal, AbortSignal.timeout(timerMs(seconds * 1000))]) : signal;
}
