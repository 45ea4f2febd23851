import { Readable, type Writable } from 'node:stream';
import { messageOf } from '#base/gitaly-error';
import { copyStream, writeChunk } from '#base/streams/copy-stream';
import { evenPieces } from '#base/streams/even-pieces';
import type { ConfigPair } from '#git/command/config';
import type { BulkPipe } from '#git/command/process/bulk-pipe';
import type { GitExit } from '#git/command/process/exit-error';
import type { GitProcess } from '#git/command/process/git-process';
import type { Repository } from '#storage/repository';

/** The client's end of git's upload-pack, receive-pack or upload-archive. */
export interface ServiceStreams {
  /** Data of the client. It may never end; reading stops when git has ended. */
  readonly input: AsyncIterable<Uint8Array>;
  /** It is neither ended nor destroyed here. */
  readonly stdout: Writable;
  /**
   * True if a write to `stdout` completes only when its bytes have been sent, so that large output
   * may be copied through one buffer.
   */
  readonly isDirect?: boolean | undefined;
  /** Without it, git's error output is logged. */
  readonly stderr?: Writable | undefined;
}

/** A client's request for upload-pack or receive-pack. */
export interface ServiceRequest {
  readonly repository: Repository;
  /** One request and one answer (HTTP) instead of a conversation (SSH). */
  readonly isStateless: boolean;
  /**
   * Protocol that the client requests; values other than `version=1` and `version=2` are ignored.
   */
  readonly gitProtocol: string;
  /** Settings of the request. */
  readonly config: readonly ConfigPair[];
  readonly streams: ServiceStreams;
  readonly signal: AbortSignal;
}

/** Receives a copy of the client's bytes after git got them, and cannot change them. */
export type InputObserver = (chunk: Uint8Array) => void;

/** The client does not accept git's output. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
}

/** The exit of git, and the beginning of its standard error. */
export interface ServiceResult {
  readonly exit: GitExit;
  readonly stderr: string;
}

/** The result of a service that needed no git. */
export const SERVED: ServiceResult = {
  exit: { code: 0, signal: undefined, ended: undefined, usage: undefined, realMs: 0 },
  stderr: '',
};

/**
 * Enough to recognize the sentence that distinguishes a disconnected client from other failures.
 */
const STDERR_HEAD_BYTES = 10_000;

/** Bytes that are passed to the transport at once. */
const PIECE_BYTES = 256 * 1024;

/** Writes pieces at the client's speed; small ones are joined. @throws {ClientGoneError} */
export async function sendPieces(pieces: readonly Buffer[], destination: Writable): Promise<void> {
  try {
    for (const piece of evenPieces(pieces, PIECE_BYTES)) await writeChunk(destination, piece);
  } catch (error) {
    throw new ClientGoneError(messageOf(error), { cause: error });
  }
}

export interface JoinOptions {
  readonly observe?: InputObserver | undefined;
  /** Called when the client's bytes have ended, before git is notified. */
  readonly onInputEnd?: (() => void) | undefined;
  /** git's standard output, if it is not the process's own stream. */
  readonly output?: BulkPipe | undefined;
}

/**
 * Connects a git process (started with `stdin: 'pipe'`, and `stderr: 'pipe'` if there is a stream
 * for it) with its client until it ends. Back-pressure applies in both directions; bytes are
 * unchanged. An input that fails is an end of input for git, which decides whether it was complete.
 *
 * @throws {ClientGoneError} when output cannot be delivered (the process is ended first); the error
 *   of `input`, if git accepted the truncated input.
 */
export async function joinStreams(
  process: GitProcess,
  streams: ServiceStreams,
  options: JoinOptions = {},
): Promise<ServiceResult> {
  const { observe, onInputEnd, output } = options;
  const stderrHead: Uint8Array[] = [];
  let inputError: { readonly error: unknown } | undefined;
  // Not awaited: a client at a terminal never ends its input.
  void feed(process, streams.input, observe)
    .catch((error: unknown) => {
      inputError = { error };
    })
    .then(() => {
      onInputEnd?.();
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
    // If we ended it, and its streams with it, the exit has the reason.
    if (!process.isEnding) {
      process.kill();
      throw new ClientGoneError(messageOf(error), { cause: error });
    }
  }
  const exit = await process.exited;
  if (exit.code === 0 && inputError !== undefined) throw inputError.error;
  return {
    exit,
    stderr: streams.stderr === undefined ? process.stderr() : Buffer.concat(stderrHead).toString(),
  };
}

/**
 * Resolves when a process that was signalled to end has ended; then a client that does not read is
 * not awaited.
 */
async function wasEnded(process: GitProcess): Promise<void> {
  await process.exited;
  if (!process.isEnding) await new Promise(() => {});
}

async function feed(
  process: GitProcess,
  input: AsyncIterable<Uint8Array>,
  observe: InputObserver | undefined,
): Promise<void> {
  const { stdin } = process;
  // Reading a sidechannel to its end must leave its write side open, which carries git's response.
  const chunks = input instanceof Readable ? input.iterator({ destroyOnReturn: false }) : input;
  for await (const chunk of chunks) {
    if (chunk.length === 0) continue;
    if (stdin.destroyed) return;
    try {
      await writeChunk(stdin, chunk);
    } catch {
      return; // git no longer reads; its exit code has the reason
    }
    observe?.(chunk);
  }
}

async function* watched(source: AsyncIterable<Uint8Array>, head: Uint8Array[]): AsyncGenerator<Uint8Array> {
  let kept = 0;
  for await (const chunk of source) {
    if (kept < STDERR_HEAD_BYTES) head.push(chunk.subarray(0, STDERR_HEAD_BYTES - kept));
    kept += chunk.length;
    yield chunk;
  }
}
