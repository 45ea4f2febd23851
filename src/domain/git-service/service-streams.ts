import { Readable, type Writable } from 'node:stream';
import { copyStream, writeChunk } from '#base/copy-stream';
import { messageOf } from '#base/gitaly-error';
import type { BulkPipe } from '#git/command/bulk-pipe';
import type { GitExit } from '#git/command/exit-error';
import type { GitProcess } from '#git/command/git-process';

/** The far end of git's upload-pack, receive-pack or upload-archive: a client somewhere. */
export interface ServiceStreams {
  /** What the client sends. It may never end; reading stops when git has ended. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Is neither ended nor destroyed here. */
  readonly stdout: Writable;
  /** A write to `stdout` is over only when its bytes have left, so that large output may be copied through one buffer. */
  readonly isDirect?: boolean | undefined;
  /** Without one, git's words go to the log. */
  readonly stderr?: Writable | undefined;
}

/** Sees the client's bytes after git got them. What it does cannot change what git gets. */
export type InputObserver = (chunk: Uint8Array) => void;

/** The client does not take what git says. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
}

/** How git ended, and the head of what it wrote to standard error. */
export interface ServiceResult {
  readonly exit: GitExit;
  readonly stderr: string;
}

/** Enough to recognise the one sentence that tells a client that left from other failures. */
const STDERR_HEAD_BYTES = 10_000;

export interface JoinOptions {
  readonly observe?: InputObserver | undefined;
  /** Git's standard output, when it is not the process' own stream. */
  readonly output?: BulkPipe | undefined;
}

/**
 * Joins a git process (started with `stdin: 'pipe'`, and `stderr: 'pipe'` when there is a stream for it) with its client until it
 * ends. Back-pressure goes both ways; bytes are handed on as they are. An input that breaks off is an end of input for git, which
 * knows best whether it had all it needs.
 *
 * @throws {ClientGoneError} when output cannot be delivered (the process is told to end first); what `input` threw, when git took
 *   the broken input for good.
 */
export async function joinStreams(
  process: GitProcess,
  streams: ServiceStreams,
  options: JoinOptions = {},
): Promise<ServiceResult> {
  const { observe, output } = options;
  const stderrHead: Uint8Array[] = [];
  let inputError: { readonly error: unknown } | undefined;
  // Not waited for: a client at a terminal never ends its input.
  void feed(process, streams.input, observe).catch((error: unknown) => {
    inputError = { error };
    process.stdin.end();
  });
  try {
    await Promise.race([
      Promise.all([
        output === undefined ? copyStream(process.stdout, streams.stdout) : output.copyTo(streams.stdout),
        streams.stderr && copyStream(watched(process.stderrStream, stderrHead), streams.stderr),
      ]),
      wasEnded(process),
    ]);
  } catch (error) {
    // When we ended it, and its streams with it, the exit says why.
    if (!process.isEnding) {
      process.kill();
      throw new ClientGoneError(messageOf(error), { cause: error });
    }
  }
  const exit = await process.exited;
  if (exit.code === 0 && inputError !== undefined) throw inputError.error;
  return { exit, stderr: streams.stderr === undefined ? process.stderr() : Buffer.concat(stderrHead).toString() };
}

/** Resolves when a process is gone that was told to end; then nobody waits for a client that does not take what is left. */
async function wasEnded(process: GitProcess): Promise<void> {
  await process.exited;
  if (!process.isEnding) await new Promise(() => {});
}

async function feed(process: GitProcess, input: AsyncIterable<Uint8Array>, observe: InputObserver | undefined): Promise<void> {
  const { stdin } = process;
  // Reading a sidechannel to its end must leave its writing half open, which carries git's answer.
  const chunks = input instanceof Readable ? input.iterator({ destroyOnReturn: false }) : input;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    if (stdin.destroyed) return;
    try {
      await writeChunk(stdin, chunk);
    } catch {
      return; // git no longer reads; what that means is in its exit code
    }
    observe?.(chunk);
  }
  stdin.end();
}

async function* watched(source: AsyncIterable<Uint8Array>, head: Uint8Array[]): AsyncGenerator<Uint8Array> {
  let kept = 0;
  for await (const chunk of source) {
    if (kept < STDERR_HEAD_BYTES) head.push(chunk.subarray(0, STDERR_HEAD_BYTES - kept));
    kept += chunk.length;
    yield chunk;
  }
}
