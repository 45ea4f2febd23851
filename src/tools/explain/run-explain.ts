import { text } from 'node:stream/consumers';
import { type DescMessage, fromJson, type JsonValue, type Message } from '@bufbuild/protobuf';
import { messageOf, messageWithHint } from '#base/gitaly-error';
import { statusName } from '#base/go/status';
import { isError } from '#base/is-error';
import { JsonFields } from '#base/json-fields';
import { nearestName } from '#base/nearest-name';
import { CallError } from '#client/call/call-error';
import { dial } from '#client/dial';
import { EXPLAIN, EXPLANATION } from '#rpc/common/header-names';
import type { Metadata } from '#rpc/common/metadata';
import { type MethodInfo, methodInfo } from '#wire/method-info';
import { gitalyServices } from '#wire/methods';
import { registry } from '#wire/registry';
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

/** Prefix of a text for a field of bytes, which is otherwise base64 as in every protobuf JSON. */
const TEXT = 'text:';

/** Number of protobuf's type `bytes`. */
const BYTES = 12;

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

/**
 * Returns the method of a name: `FindCommit`, `CommitService/FindCommit` or the full path.
 *
 * @throws {Error} that names a similar one.
 */
function methodNamed(name: string): MethodInfo {
  const wanted = name.replace(/^\/?(gitaly\.)?/, '');
  const methods = gitalyServices.flatMap((service) => service.methods.map(methodInfo));
  const shortPath = ({ path }: MethodInfo): string => path.slice('/gitaly.'.length);
  const found = methods.filter((method) => shortPath(method) === wanted || method.name === wanted);
  const [method] = found;
  if (method !== undefined && found.length === 1) return method;
  if (found.length > 1)
    throw new Error(`${name} is a method of several services: ${found.map(shortPath).join(', ')}`);
  const names = methods.flatMap((each) => [each.name, shortPath(each)]);
  const nearest = nearestName(wanted, names);
  throw new Error(`there is no method ${name}${nearest === undefined ? '' : `, did you mean ${nearest}?`}`);
}

/**
 * Reads the request messages of a call: a JSON object, or an array of them for a method that takes
 * a stream. In fields of bytes, `text:main` represents base64 of `main`.
 *
 * @throws {Error} that describes the JSON's mistake.
 */
function requestsOf({ input, kind, name }: MethodInfo, json: string): Message[] {
  let value: JsonValue;
  try {
    value = JSON.parse(json) as JsonValue; // JSON.parse returns nothing else
  } catch (error) {
    throw new Error(`the request is not JSON: ${messageOf(error)}`);
  }
  const isStream = kind === 'client_stream' || kind === 'bidi_stream';
  if (Array.isArray(value) && !isStream) throw new Error(`${name} takes one request, not a list`);
  const values = Array.isArray(value) ? value : [value];
  return values.map((each) => {
    try {
      return fromJson(input, withTexts(input, each), { registry });
    } catch (error) {
      throw new Error(`the request is not a ${input.name}: ${messageOf(error)}`);
    }
  });
}

/** Replaces the texts of fields of bytes by base64. */
function withTexts(message: DescMessage, value: JsonValue): JsonValue {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).map(([key, inner]) => {
    const field = message.fields.find(({ jsonName, name }) => key === jsonName || key === name);
    const convert = (one: JsonValue): JsonValue => {
      if (field?.message !== undefined && field.fieldKind !== 'map') return withTexts(field.message, one);
      const isBytes = field !== undefined && field.scalar === BYTES;
      return isBytes && typeof one === 'string' && one.startsWith(TEXT)
        ? Buffer.from(one.slice(TEXT.length)).toString('base64')
        : one;
    };
    return [key, Array.isArray(inner) ? inner.map(convert) : convert(inner)];
  });
  return Object.fromEntries(entries);
}
