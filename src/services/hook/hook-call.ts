import { GitalyError, messageOf } from '#base/gitaly-error';
import { HeldBytes } from '#base/memory/held-bytes';
import type { HookCall } from '#domain/hooks/hook-call';
import { environmentFromList } from '#domain/hooks/hook-environment';
import type { HookOutput } from '#domain/hooks/hook-output';
import { decodeHooksPayload, type HooksPayload } from '#domain/hooks/payload';
import { MAX_CHANGES_BYTES } from '#domain/hooks/relay/relay-parser';
import { customHookErrorOf } from '#domain/hooks/run-custom-hooks';
import type { HandlerContext } from '#rpc/server/handler';
import { remoteIpOf } from '#services/convert/request/push-context';
import { type Respond, respondInChunks } from '#services/convert/response/stream-responses';
import type { Repository } from '#storage/repository';

/** A response of the hooks' streams: output of a hook, or its exit status. */
export interface HookResponse {
  stdout?: Uint8Array;
  stderr?: Uint8Array;
  exitStatus?: { value: number };
}

/** The fields of a request that all hooks have. */
export interface HookRequest {
  readonly environmentVariables: readonly string[];
  readonly gitPushOptions?: readonly string[];
}

/** @throws {GitalyError} INTERNAL `extracting hooks payload: …` */
export function payloadOf({ environmentVariables }: HookRequest): HooksPayload {
  try {
    return decodeHooksPayload(environmentVariables);
  } catch (error) {
    throw new GitalyError('INTERNAL', `extracting hooks payload: ${messageOf(error)}`, { cause: error });
  }
}

export interface HookCallFields {
  readonly repository: Repository;
  readonly request: HookRequest;
  readonly respond: Respond<HookResponse>;
  readonly signal: AbortSignal;
}

/**
 * Builds the call of a hook that a request describes. @throws {GitalyError} INTERNAL when its
 * payload cannot be read.
 */
export function hookCallOf(
  { repository, request, respond, signal }: HookCallFields,
  context: HandlerContext,
): HookCall {
  return {
    repository,
    payload: payloadOf(request),
    environment: environmentFromList(request.environmentVariables),
    pushOptions: request.gitPushOptions ?? [],
    output: outputTo(respond),
    signal,
    correlationId: context.correlationId,
    remoteIp: remoteIpOf(context),
  };
}

function outputTo(respond: Respond<HookResponse>): HookOutput {
  return {
    stdout: (bytes) => respondInChunks(bytes, respond, (stdout) => ({ stdout })),
    stderr: (bytes) => respondInChunks(bytes, respond, (stderr) => ({ stderr })),
  };
}

/** Ends a hook that failed: a script's exit status, or 1 and the reason. */
export async function respondFailure(error: unknown, respond: Respond<HookResponse>): Promise<void> {
  const script = customHookErrorOf(error);
  const text = script === undefined ? messageOf(error) : '';
  const exitStatus = { value: script?.exitCode ?? 1 };
  if (text === '') await respond({ exitStatus });
  else await respondInChunks(Buffer.from(text), respond, (stderr) => ({ stderr, exitStatus }));
}

/**
 * Reads the complete standard input of a hook. @throws {GitalyError} RESOURCE_EXHAUSTED when it is
 * longer than any push.
 */
export async function readInput(
  messages: AsyncIterable<{ readonly stdin: Uint8Array }>,
  maxBytes = MAX_CHANGES_BYTES,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  using held = new HeldBytes(maxBytes, 'reference updates');
  for await (const { stdin } of messages) {
    held.add(stdin);
    chunks.push(stdin);
  }
  return Buffer.concat(chunks);
}
