import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { flag, gitCommand } from '#git/command/git-command';
import { removeTree } from '#storage/temp-directories';
import { joinStreams, type ServiceResult } from '../git-service/service-streams.ts';
import { startService } from '../git-service/start-service.ts';
import { type TraceEvent, TraceFile, traceEvents, traceFields } from '../git-service/trace-file.ts';
import type { HooksDirectories } from '../hooks/hooks-directories.ts';
import type { PushUser } from '../hooks/payload.ts';
import { RELAY_ENVIRONMENT, RELAY_PIPES, serveRelay } from '../hooks/relay/relay.ts';
import type { Push } from './push.ts';
import type { PushHooks } from './push-hooks.ts';
import { PushRecording } from './push-recording.ts';

export interface GitReceivePackOptions {
  readonly directories: HooksDirectories;
  /** For the traces of git. */
  readonly traceDirectory: string;
  /**
   * Receives the errors of hooks that could not be answered; the client only learns that a hook
   * failed.
   */
  readonly onHookError: (error: unknown) => void;
  /** Receives errors of the removal of quarantines that killed pushes left. */
  readonly onSweepError: (error: unknown) => void;
}

const EVENTS = ['"event":"child_', '"category":"progress"'];
/** git's name of the region in which it searches for missing objects. */
const CONNECTIVITY = 'Checking connectivity';
/** A push starts some ten processes; more fields are of no use. */
const MAX_CHILDREN = 50;

const VARIABLE = 'GIT_QUARANTINE_PATH=';

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

/** Receives a push by `git receive-pack`, whose hooks reach the server over inherited descriptors. */
export async function receiveByGit(
  push: Push,
  hooks: PushHooks,
  { directories, traceDirectory, onHookError, onSweepError }: GitReceivePackOptions,
): Promise<ServiceResult> {
  const { repository, streams, signal } = push;
  // Before the process, which is ended by the same abort.
  await using quarantine = new EndedQuarantine(repository.objectDirectory, signal, onSweepError);
  await using trace = push.onTrace && new TraceFile(traceDirectory);
  // Everything that can fail here fails now: while git runs, such an error would be lost.
  const over = new AbortController();
  const handle = hooks.handlerForGit(AbortSignal.any([signal, over.signal]));
  const directory = directories.directoryFor(hooks.needed);
  const options = push.isStateless ? [flag('--stateless-rpc')] : [];
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
  quarantine.pid = process.pid;
  // A hook runs for git; if git was killed, the result has no recipient.
  void process.exited.then(() => over.abort(new Error('git receive-pack has ended')));
  const [requests, answers] = process.extra;
  const serving = requests && answers && serveRelay(requests, answers, handle, onHookError);
  try {
    const watched = { ...streams, input: recording.watch(streams.input) };
    const result = await joinStreams(process, watched, { onInputEnd: () => quarantine.find() });
    await serving;
    return result;
  } finally {
    for (const pipe of process.extra) pipe.destroy();
    await serving;
    // Processes of an aborted push that still run may write into its quarantine.
    await process.groupEnded();
    if (trace) push.onTrace?.(await pushTraceFields(trace));
  }
}

/**
 * Removes the quarantine of a `git receive-pack` that is ended. Since 2.38 git does not clean up
 * its quarantine in a signal handler. A client that repeatedly pushes gigabytes and disconnects
 * would fill the disk.
 *
 * git chooses the name and passes it only to its children (index-pack, rev-list). Therefore the
 * environment of the children is read at two times: just before they are ended, and when the
 * client's bytes end, because a child that waits for more ends then. If this fails, the removal by
 * age deletes the quarantine. Disposed of after the process and its children have ended.
 */
class EndedQuarantine implements AsyncDisposable {
  readonly #objectDirectory: string;
  readonly #signal: AbortSignal;
  readonly #onError: (error: unknown) => void;
  readonly #onAbort = (): void => this.find();
  #path: string | undefined;
  /** Of git, once it has started. */
  pid: number | undefined;

  constructor(objectDirectory: string, signal: AbortSignal, onError: (error: unknown) => void) {
    this.#objectDirectory = objectDirectory;
    this.#signal = signal;
    this.#onError = onError;
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Reads the path from the children of git, if there are any. */
  find(): void {
    try {
      const children = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'latin1');
      for (const child of children.split(' ').filter(Boolean)) {
        const variables = readFileSync(`/proc/${child}/environ`, 'utf8').split('\0');
        const found = variables.find((variable) => variable.startsWith(VARIABLE));
        if (found === undefined) continue;
        // git writes `<repository>/./objects/…`.
        const path = resolve(found.slice(VARIABLE.length));
        if (dirname(path) === this.#objectDirectory) this.#path = path;
      }
    } catch {
      // git has not started, the child has just ended, or the system is not Linux.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#onAbort);
    if (this.#path !== undefined) await removeTree(this.#path).catch(this.#onError);
  }
}

/**
 * Returns the fields of the log about the processes of a push, with Gitaly's names. Call it when
 * git has ended.
 */
function pushTraceFields(trace: TraceFile): Promise<Record<string, unknown>> {
  return traceFields(trace, 'receive-pack', processFields);
}

function processFields(text: string): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  const numbers = new Map<string, number>();
  let connectivity = 0;
  for (const event of traceEvents(text, EVENTS)) {
    const child = `${event.sid} ${event.child_id}`;
    if (event.event === 'child_start' && numbers.size < MAX_CHILDREN) {
      fields[`receive-pack.child-process.${numbers.size}.command`] = commandOf(event);
      numbers.set(child, numbers.size);
    }
    const number = numbers.get(child);
    if (event.event === 'child_exit' && number !== undefined)
      fields[`receive-pack.child-process.${number}.time-us`] = microseconds(event);
    if (event.event === 'region_leave' && event.label === CONNECTIVITY) {
      connectivity += microseconds(event);
      fields['receive-pack.connectivity-check-us'] = connectivity;
    }
  }
  return fields;
}

/** Returns the words of a command, or for a path the name of the file, as Gitaly does. */
function commandOf({ argv }: TraceEvent): string {
  const words = Array.isArray(argv) ? argv.join(' ') : '';
  return words.startsWith('/') ? basename(words) : words;
}

/** Returns the time since the process or the region began. */
function microseconds({ t_rel: seconds }: TraceEvent): number {
  return Math.floor(Number(seconds) * 1e6);
}
