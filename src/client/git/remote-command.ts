import { GitalyError, messageOf } from '#base/gitaly-error';
import { writeChunk } from '#base/streams/copy-stream';
import { CallError } from '../call/call-error.ts';
import type { ResponseStream } from '../call/call-types.ts';
import type { PackResult, Stdio } from './git-streams.ts';
import type { StdinRequests } from './stdin-requests.ts';

/**
 * Response of the SSH calls: pieces of the remote command's output, and its exit status if it
 * failed.
 */
export interface CommandOutput {
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  readonly exitStatus?: { readonly value: number } | undefined;
}

/**
 * Follows a remote command until the server ends the call: writes its output to `io` with
 * back-pressure, and records its exit status. Does not wait for `stdin`.
 *
 * @throws {CallError} the status of the call; `metadata.exitCode` is the exit code that the server
 *   sent before.
 * @throws {GitalyError} `stdin send error: …` when `stdin` failed.
 */
export async function followCommand<T>(
  call: ResponseStream<CommandOutput>,
  requests: StdinRequests<T>,
  io: Pick<Stdio, 'stdout' | 'stderr'>,
): Promise<PackResult> {
  let exitCode = 0;
  try {
    for await (const { exitStatus, stderr, stdout } of call) {
      if (exitStatus !== undefined) exitCode = exitStatus.value;
      if (stderr.byteLength > 0) await writeChunk(io.stderr, stderr);
      if (stdout.byteLength > 0) await writeChunk(io.stdout, stdout);
    }
  } catch (error) {
    throwStdinError(requests);
    throw withExitCode(error, exitCode);
  }
  throwStdinError(requests);
  return { exitCode };
}

function throwStdinError(requests: { readonly error: unknown }): void {
  if (requests.error === undefined) return;
  throw new GitalyError('UNKNOWN', `stdin send error: ${messageOf(requests.error)}`, {
    cause: requests.error,
  });
}

function withExitCode(error: unknown, exitCode: number): unknown {
  if (!(error instanceof CallError)) return error;
  const { code, message, metadata, details, cause } = error;
  return new CallError(
    new GitalyError(code, message, { cause, details, metadata: { ...metadata, exitCode } }),
    error,
  );
}
