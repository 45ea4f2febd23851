import { flag, gitCommand } from '#git/command/git-command';
import type { GitExitError } from '#git/command/process/exit-error';
import type { Repository } from '#storage/repository';
import { INTERNAL_URL, internalFetch } from './internal-fetch.ts';
import type { RemoteServerOptions } from './remote-server-options.ts';

/** Fetches one commit from the remote (see RemoteRepository.fetchInto). */
export async function fetchCommit(
  repository: Repository,
  oid: string,
  remote: RemoteServerOptions,
): Promise<void> {
  const options = ['--no-write-fetch-head', '--quiet', '--no-tags', '--atomic'].map(flag);
  const command = gitCommand('fetch', { options, args: [INTERNAL_URL, oid] });
  const config = [{ key: 'advice.fetchShowForcedUpdates', value: 'false' }];
  const fetch = { runner: repository, command, config, gitProtocol: 'version=2' } as const;
  const { failure, refusal } = await internalFetch(fetch, remote);
  // When git rejected the data, its message is the reason. When git received nothing, the status of
  // the other server is.
  if (refusal !== undefined && !isOwnFault(failure)) throw refusal;
  if (failure !== undefined) throw failure;
}

function isOwnFault(failure: GitExitError | undefined): boolean {
  return (
    failure !== undefined &&
    failure.signal === undefined &&
    !failure.stderr.includes('Could not read from remote')
  );
}
