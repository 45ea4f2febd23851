import { PassThrough } from 'node:stream';
import { uploadPackWithSidechannel } from '#client/git/upload-pack-with-sidechannel';
import { GitExitError } from '#git/command/exit-error';
import { flag, gitCommand } from '#git/command/git-command';
import type { Repository } from '#storage/repository';
import { type RemoteParts, repositoryMessage } from './remote-repository.ts';

/** git wants a place of the ssh kind; nobody looks at it. */
const URL = 'ssh://gitaly/internal.git';
/**
 * What git starts to reach that place. It joins git's pipes to the two that this process has given it: what is said goes to 4, what is
 * answered comes from 3. git has them too, so their ends do not show when git has nothing more to say; `0000` says it in the protocol.
 * POSIX sh runs what it starts in the background without standard input, unless it is told otherwise.
 */
const RELAY = 'relay() { exec 5<&0; { cat <&5; printf 0000; } >&4 3<&- & exec cat <&3 4>&- 5<&-; }; relay';

/** @see RemoteRepository.fetchInto */
export async function fetchCommit(repository: Repository, oid: string, remote: RemoteParts): Promise<void> {
  const { connection, registry, target, signal, correlationId } = remote;
  const options = ['--no-write-fetch-head', '--quiet', '--no-tags', '--atomic'].map(flag);
  const command = gitCommand('fetch', { options, args: [URL, oid] });
  await using git = repository.spawn(command, {
    signal,
    hooks: 'disabled', // no reference changes
    extraPipes: 2,
    config: [{ key: 'advice.fetchShowForcedUpdates', value: 'false' }],
    env: { GIT_SSH_COMMAND: RELAY, GIT_SSH_VARIANT: 'simple' },
  });
  const [answers, questions] = git.extra;
  if (answers === undefined || questions === undefined) throw new Error('git was started without pipes');
  const stderr = new PassThrough().resume();
  const request = {
    repository: repositoryMessage(target),
    gitConfigOptions: ['uploadpack.allowAnySHA1InWant=true'],
    gitProtocol: 'version=2',
  };
  const upload = uploadPackWithSidechannel(connection, registry, { stdin: questions, stdout: answers, stderr }, request, {
    signal,
    correlationId,
  }).finally(() => answers.end());
  const [uploaded, fetched] = await Promise.allSettled([upload, git.succeeded()]);
  // A git that found fault with what it got says why; one that got nothing knows less than the other server.
  if (uploaded.status === 'rejected' && !(fetched.status === 'rejected' && isOwnFault(fetched.reason))) throw uploaded.reason;
  if (fetched.status === 'rejected') throw fetched.reason;
}

function isOwnFault(error: unknown): boolean {
  return error instanceof GitExitError && error.signal === undefined && !error.stderr.includes('Could not read from remote');
}
