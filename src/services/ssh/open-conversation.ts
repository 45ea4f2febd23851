import { invalidArgument } from '#base/gitaly-error';
import { type OpenedRequests, openRequests } from '#services/convert/request/first-request';
import type { Repository } from '#storage/repository';
import type { Repository as RepositoryMessage } from '#wire/gen/shared_pb';
import type { SshDependencies } from './dependencies.ts';

/** The first message of a conversation with a git service. */
interface FirstMessage {
  readonly repository?: RepositoryMessage | undefined;
  readonly stdin: Uint8Array;
}

/**
 * Waits for the first message, which names the repository and has no input for git.
 *
 * @throws {GitalyError} INTERNAL `EOF`; INVALID_ARGUMENT; as opening the repository does.
 */
export async function openConversation<T extends FirstMessage>(
  requests: AsyncIterable<T>,
  { storages }: Pick<SshDependencies, 'storages'>,
): Promise<OpenedRequests<T> & { readonly repository: Repository }> {
  const { first, rest } = await openRequests(requests);
  const repository = storages.open(first.repository);
  if (first.stdin.length > 0) throw invalidArgument('non-empty stdin in first request');
  return { first, rest, repository };
}
