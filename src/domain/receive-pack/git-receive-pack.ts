import { flag, gitCommand } from '#git/command/git-command';
import type { GitProcess } from '#git/command/process/git-process';
import { removeStaleQuarantines } from '#storage/quarantine/stale-quarantines';
import { joinStreams, type ServiceResult } from '../git-service/service-streams.ts';
import { startService } from '../git-service/start-service.ts';
import { TraceFile } from '../git-service/trace-file.ts';
import type { HookManager } from '../hooks/hook-manager.ts';
import type { HooksDirectories } from '../hooks/hooks-directories.ts';
import type { PushUser } from '../hooks/payload.ts';
import { RELAY_ENVIRONMENT, RELAY_PIPES, type RelayHandler, serveRelay } from '../hooks/relay/relay.ts';
import { neededHooks, pushHookHandler } from './push-hooks.ts';
import { PushRecording } from './push-recording.ts';
import { pushTraceFields } from './push-trace.ts';
import { PushVotes } from './push-votes.ts';
import { EndedQuarantine } from './quarantine-of-process.ts';
import type { Push, ReceivePack } from './receive-pack.ts';

export interface GitReceivePackOptions {
  readonly hooks: HookManager;
  readonly directories: HooksDirectories;
  /** For the traces of git. */
  readonly traceDirectory: string;
  /**
   * Receives the errors of hooks that could not be answered; the client only learns that a hook
   * failed.
   */
  readonly onHookError?: ((error: unknown) => void) | undefined;
  /** Receives errors of the removal of quarantines that killed pushes left. */
  readonly onSweepError: (error: unknown) => void;
}

/**
 * Returns the identity for reflogs, as git's http-backend sets it; without it git writes the
 * account of the server. A push without a name keeps that.
 *
 * @see git: http-backend.c, run_service
 */
function committerOf({ protocol, remoteIp, username }: PushUser): Record<string, string> {
  const name = username.replaceAll('\0', '');
  if (name === '') return {};
  const email = `${name}@${protocol}.${remoteIp.replaceAll('\0', '') || '(none)'}`;
  return { GIT_COMMITTER_NAME: name, GIT_COMMITTER_EMAIL: email };
}

/** Pushes received by `git receive-pack`, whose hooks reach us over inherited descriptors. */
export class GitReceivePack implements ReceivePack {
  readonly #options: GitReceivePackOptions;

  constructor(options: GitReceivePackOptions) {
    this.#options = options;
  }

  async run(push: Push): Promise<ServiceResult> {
    const { repository, signal } = push;
    const quarantine = new EndedQuarantine(repository.objectDirectory);
    let pid: number | undefined;
    const onAbort = (): void => void (pid !== undefined && quarantine.find(pid));
    // Added before the process handles the same abort and is ended by it.
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await this.#receive(push, (started) => {
        pid = started;
      });
    } finally {
      signal.removeEventListener('abort', onAbort);
      await quarantine.remove().catch(this.#options.onSweepError);
    }
  }

  async #receive(push: Push, onStarted: (pid: number) => void): Promise<ServiceResult> {
    const { repository, streams, signal } = push;
    const { directories, hooks: manager, onHookError } = this.#options;
    const started = await neededHooks(manager, push);
    const directory = directories.directoryFor(started);
    const options = push.isStateless ? [flag('--stateless-rpc')] : [];
    await using trace = push.onTrace && new TraceFile(this.#options.traceDirectory);
    // Everything that can fail here fails now: while git runs, such an error would be lost.
    const over = new AbortController();
    const { batchedPushes: areBatched } = repository.git.capabilities;
    const votes = new PushVotes({ manager, started, areBatched });
    const whileRunning = { ...push, signal: AbortSignal.any([signal, over.signal]) };
    const handle = pushHookHandler(manager, whileRunning, votes);
    await using recording = new PushRecording(repository);
    await using process = await startService(
      repository,
      gitCommand('receive-pack', { options, args: [repository.path] }),
      {
        signal,
        stderr: streams.stderr === undefined ? 'head' : 'pipe',
        config: push.config,
        gitProtocol: push.gitProtocol,
        env: { ...committerOf(push.user), ...trace?.env },
        ...(directory === undefined
          ? { hooks: 'disabled' }
          : { hooks: { directory, env: RELAY_ENVIRONMENT }, extraPipes: RELAY_PIPES }),
      },
    );
    onStarted(process.pid);
    // A hook runs for git; if git was killed, the result has no recipient.
    void process.exited.then(() => over.abort(new Error('git receive-pack has ended')));
    // Runs in parallel with git; an older push of this repository may have been killed.
    const sweeping = removeStaleQuarantines(repository.objectDirectory).catch(this.#options.onSweepError);
    const serving = this.#serveHooks(process, handle);
    try {
      const result = await joinStreams(process, { ...streams, input: recording.watch(streams.input) });
      await serving;
      if (push.transaction !== undefined && result.exit.code === 0)
        await votes.ended(signal).catch((error: unknown) => onHookError?.(error));
      return result;
    } finally {
      for (const pipe of process.extra) pipe.destroy();
      await serving;
      await sweeping;
      // Processes of an aborted push that still run may write into its quarantine.
      await process.groupEnded();
      if (trace) push.onTrace?.(await pushTraceFields(trace));
    }
  }

  async #serveHooks(process: GitProcess, handle: RelayHandler): Promise<void> {
    const [requests, answers] = process.extra;
    if (requests === undefined || answers === undefined) return;
    await serveRelay(requests, answers, handle, (error) => this.#options.onHookError?.(error));
  }
}
