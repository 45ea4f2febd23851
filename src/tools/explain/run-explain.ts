import { text } from 'node:stream/consumers';
import { messageWithHint } from '#base/gitaly-error';
import { statusName } from '#base/go/status';
import { isError } from '#base/is-error';
import { JsonFields } from '#base/json-fields';
import { CallError } from '#client/call/call-error';
import { dial } from '#client/dial';
import { EXPLAIN, EXPLANATION } from '#rpc/common/header-names';
import type { Metadata } from '#rpc/common/metadata';
import { methodNamed, requestsOf } from './named-request.ts';
import { type Explained, renderExplanation } from './render-explanation.ts';

export interface ExplainOptions {
  readonly address: string;
  readonly token: string | undefined;
  readonly method: string;
  /** JSON of the request, or `-` for standard input. */
  readonly request: string;
  /** Metadata of the call. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly json: boolean;
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  /** Ends the call. */
  readonly signal: AbortSignal;
}

const CONNECT_LIMIT_MS = 10_000;

/**
 * Runs `gitaly-ts explain`: makes one call and prints the git commands that ran for it, their cost,
 * the parts that came from caches, and the limit that it waited for. The responses are read, but
 * not printed.
 *
 * @returns the exit code: 0 if the call succeeded and was explained.
 */
export async function runExplain(options: ExplainOptions): Promise<number> {
  const { json, stdout, stderr } = options;
  try {
    const explained = await call(options);
    stdout.write(json ? `${JSON.stringify(explained, undefined, 2)}\n` : renderExplanation(explained));
    if (explained.explanation === undefined)
      stderr.write('gitaly-ts explain: no explanation: set "explain = true" in [git] of the server\n');
    return explained.code === 'OK' && explained.explanation !== undefined ? 0 : 1;
  } catch (error) {
    stderr.write(`gitaly-ts explain: ${messageWithHint(error)}\n`);
    return 1;
  }
}

async function call(options: ExplainOptions): Promise<Explained> {
  const method = methodNamed(options.method);
  const document = options.request === '-' ? await text(options.stdin) : options.request;
  const requests = requestsOf(method, document);
  await using connection = await dial(options.address, {
    retry: false,
    clientName: 'gitaly-ts-explain',
    failOnNonTemporaryDialError: true,
    signal: AbortSignal.timeout(CONNECT_LIMIT_MS),
    ...(options.token && { token: options.token }),
  });
  const startedAt = performance.now();
  const metadata = { ...options.metadata, [EXPLAIN]: 'true' };
  let responses = 0;
  let failure: CallError | undefined;
  let trailers: Metadata | undefined;
  const onTrailers = (given: Metadata): void => {
    trailers = given;
  };
  try {
    const callOptions = { metadata, onTrailers, signal: options.signal };
    for await (const _ of connection.invoke({ method, requests, options: callOptions })) responses++;
  } catch (error) {
    if (!(error instanceof CallError)) throw isError(error) ? error : new Error(String(error));
    failure = error;
    trailers ??= error.trailers;
  }
  return {
    method: method.path,
    code: statusName(failure?.code ?? 'OK'),
    message: failure?.message ?? '',
    responses,
    client_ms: Math.round((performance.now() - startedAt) * 10) / 10,
    explanation: explanationOf(trailers?.getBytes(EXPLANATION)),
  };
}

function explanationOf(bytes: Buffer | undefined): Explained['explanation'] {
  const fields = bytes && JsonFields.parse(bytes.toString());
  return fields && Object.fromEntries(fields.entries());
}
