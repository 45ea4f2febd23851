import { PassThrough } from 'node:stream';
import { uploadPackWithSidechannel } from '#client/git/upload-pack-with-sidechannel';
import { type RecordedRunner, recordingOf } from '#domain/transactions/run-recorded';
import type { ConfigPair } from '#git/command/config';
import type { GitCommand } from '#git/command/git-command';
import type { GitExitError } from '#git/command/process/exit-error';
import type { GitProcess } from '#git/command/process/git-process';
import { callOptions, type RemoteServerOptions, repositoryMessage } from './remote-server-options.ts';

/** git requires an ssh URL to use GIT_SSH_COMMAND; its host and path are not used. */
export const INTERNAL_URL = 'ssh://gitaly/internal.git';

/** A `git fetch` or `git clone` of {@link INTERNAL_URL}. */
export interface InternalFetch {
  /** The repository, or git itself for a clone. */
  readonly runner: RecordedRunner;
  readonly command: GitCommand;
  readonly config?: readonly ConfigPair[];
  /** Protocol that git is to use; empty for the oldest. */
  readonly gitProtocol: 'version=2' | '';
}

/** The two ends of a fetch. */
export interface InternalFetchResult {
  /** `undefined` when git succeeded. */
  readonly failure: GitExitError | undefined;
  /** The status of the other server or of the connection; `undefined` without an error. */
  readonly refusal: unknown;
}

/** A copy also has the references that are hidden from users. @see Gitaly: cmd/gitaly-ssh */
const SHOW_ALL_REFERENCES = 'transfer.hideRefs=!refs';
/** Descriptors between git's helper and this process. */
const TRANSPORT_PIPES = 2;

/** Runs git against a repository on another server. Afterwards git and its children have ended. */
export async function internalFetch(
  fetch: InternalFetch,
  remote: RemoteServerOptions,
): Promise<InternalFetchResult> {
  const { runner, command, config = [], gitProtocol } = fetch;
  const { signal } = remote;
  await runner.spawnTurn(signal);
  await using _recording = await recordingOf(runner);
  await using git = runner.spawn(command, {
    signal,
    hooks: 'disabled',
    extraPipes: TRANSPORT_PIPES,
    config,
    env: { GIT_SSH_COMMAND: RELAY, GIT_SSH_VARIANT: 'simple' },
    stdout: 'ignore',
    gitProtocol,
  });
  const refusal = await transport(git, gitProtocol, remote);
  const exit = await git.exited;
  for (const pipe of git.extra) pipe.destroy();
  await git.groupEnded();
  return { failure: exit.code === 0 ? undefined : git.exitError(exit), refusal };
}

/**
 * The command that git runs in place of ssh. It joins git's standard input and output to two pipes:
 * output comes from descriptor 3, input goes to descriptor 4. git inherits the pipes as well, so
 * their end does not show that git has finished; the relay sends the flush packet `0000` instead. A
 * POSIX shell gives background commands no standard input unless it is redirected explicitly.
 */
const RELAY = 'relay() { exec 5<&0; { cat <&5; printf 0000; } >&4 3<&- & exec cat <&3 4>&- 5<&-; }; relay';

/** Serves git's helper until the other server has finished. Returns the error, if any. */
async function transport(git: GitProcess, gitProtocol: string, parts: RemoteServerOptions): Promise<unknown> {
  const { connection, registry, target } = parts;
  const [answers, questions] = git.extra;
  if (answers === undefined || questions === undefined) throw new Error('git was started without pipes');
  const stderr = new PassThrough().resume();
  const request = {
    repository: repositoryMessage(target),
    gitConfigOptions: ['uploadpack.allowAnySHA1InWant=true', SHOW_ALL_REFERENCES],
    gitProtocol,
  };
  const io = { stdin: questions, stdout: answers, stderr };
  try {
    await uploadPackWithSidechannel(connection, registry, io, request, callOptions(parts));
    return undefined;
  } catch (error) {
    return error;
  } finally {
    answers.end();
  }
}
