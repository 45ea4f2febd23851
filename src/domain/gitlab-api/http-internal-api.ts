import { describeJsonError } from '#base/go/encoding/json-error';
import { isError } from '#base/is-error';
import { JsonFields } from '#base/json-fields';
import { ApiRequestHeaders } from './api-request-headers.ts';
import type { ApiResponse, HttpTransport } from './http-transport.ts';
import {
  type AccessCheck,
  type AccessDecision,
  type ApiCallOptions,
  type ApiCheck,
  type FinishedPush,
  type InternalApi,
  type ObjectPoolMember,
  type ObjectPoolQuery,
  type PostReceiveAnswer,
  RateLimitedError,
} from './internal-api.ts';
import { poolMembers, poolQuery } from './object-pool-members.ts';
import { allowedBody, postReceiveBody, preReceiveBody } from './requests.ts';

/**
 * The label under which the time of a call is counted
 * (`gitaly_gitlab_api_latency_seconds{endpoint}`).
 */
export type ApiEndpoint = 'allowed' | 'pre-receive' | 'post-receive' | 'check' | 'object-pool-members';

export interface HttpInternalApiOptions {
  readonly transport: HttpTransport;
  /** Key of the tokens; space around it does not count. */
  readonly secret: string;
  /** Basic auth is sent when both are set. */
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** `gitaly/<version>` */
  readonly userAgent: string;
  /** Address that is logged, without user and password. */
  readonly url: string;
  readonly observer?: ((call: FinishedApiCall) => void) | undefined;
}

/** A call of the API that has ended, for metrics and the log. */
export interface FinishedApiCall {
  readonly endpoint: ApiEndpoint;
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly correlationId: string;
  readonly durationMs: number;
  /** `undefined` if there was no response. */
  readonly answer: { readonly status: number; readonly bytes: number } | undefined;
  /** The reason why the call failed. */
  readonly error: unknown;
}

const API_PATH = '/api/v4/internal';

/**
 * GitLab's internal API over HTTP. Error texts are Gitaly's, they reach the pushing user as
 * `GitLab: <text>`.
 */
export class HttpInternalApi implements InternalApi {
  readonly standAlone = false;
  readonly #options: HttpInternalApiOptions;
  readonly #headers: ApiRequestHeaders;

  constructor(options: HttpInternalApiOptions) {
    this.#options = options;
    this.#headers = new ApiRequestHeaders({ ...options, key: Buffer.from(options.secret.trim()) });
  }

  async allowed(check: AccessCheck, options: ApiCallOptions): Promise<AccessDecision> {
    const answer = await this.#call('allowed', 'POST', '/allowed', allowedBody(check), options);
    if (answer.status !== 200 && answer.status !== 300)
      throw new Error(`gitlab api is not accessible: ${answer.status}`);
    requireJson(answer, '/allowed');
    const body = decode(answer, 'decoding response from /allowed endpoint');
    return { allowed: body.flag('status') === true, message: body.text('message') ?? '' };
  }

  async preReceive(glRepository: string, options: ApiCallOptions): Promise<boolean> {
    const answer = await this.#post('pre-receive', '/pre_receive', preReceiveBody(glRepository), options);
    if (answer.status !== 200) throw new Error(`pre-receive call failed with status: ${answer.status}`);
    requireJson(answer, '/pre_receive');
    return (
      decode(answer, 'decoding response from /pre_receive endpoint').flag('reference_counter_increased') ===
      true
    );
  }

  async postReceive(push: FinishedPush, options: ApiCallOptions): Promise<PostReceiveAnswer> {
    const answer = await this.#post('post-receive', '/post_receive', postReceiveBody(push), options);
    if (answer.status !== 200) throw new Error(`post-receive call failed with status: ${answer.status}`);
    requireJson(answer, '/post_receive');
    const body = decode(answer, 'decoding response from /post_receive endpoint');
    return {
      referenceCounterDecreased: body.flag('reference_counter_decreased') === true,
      messages: (body.list('messages') ?? []).flatMap((item) => {
        const entry = JsonFields.of(item);
        return entry === undefined
          ? []
          : [{ message: entry.text('message') ?? '', type: entry.text('type') ?? '' }];
      }),
    };
  }

  async check(options: ApiCallOptions): Promise<ApiCheck> {
    const answer = await prefixed('HTTP GET to GitLab endpoint /check failed', () => {
      return this.#call('check', 'GET', '/check', undefined, options);
    });
    if (answer.status !== 200) throw new Error(`Check HTTP request failed with status: ${answer.status}`);
    const body = decode(answer, 'failed to decode response from /check endpoint');
    return {
      gitlabVersion: body.text('gitlab_version') ?? '',
      gitlabRevision: body.text('gitlab_revision') ?? '',
      apiVersion: body.text('api_version') ?? '',
      redis: body.flag('redis') === true,
      date: answer.date,
    };
  }

  async upstreamPoolMembers(
    query: ObjectPoolQuery,
    options: ApiCallOptions,
  ): Promise<ReadonlyMap<string, readonly ObjectPoolMember[]>> {
    const answer = await prefixed('get', async () => {
      const path = `/gitaly/object_pool_members?${poolQuery(query)}`;
      const got = await this.#call('object-pool-members', 'GET', path, undefined, options);
      if (got.status !== 200) throw new Error(`${got.status}`);
      return got;
    });
    return poolMembers(decode(answer, 'decode response body'));
  }

  #post(endpoint: ApiEndpoint, path: string, body: string, options: ApiCallOptions): Promise<ApiResponse> {
    return prefixed(`http post to gitlab api ${path} endpoint`, () =>
      this.#call(endpoint, 'POST', path, body, options),
    );
  }

  async #call(
    endpoint: ApiEndpoint,
    method: 'GET' | 'POST',
    path: string,
    body: string | undefined,
    options: ApiCallOptions,
  ) {
    const start = performance.now();
    let answer: ApiResponse | undefined;
    let failure: unknown;
    try {
      const headers = this.#headers.of(options);
      answer = await reach(() => {
        return this.#options.transport({
          method,
          path: API_PATH + path,
          headers,
          body,
          // The other two count running pushes.
          isIdempotent: endpoint !== 'pre-receive' && endpoint !== 'post-receive',
          signal: options.signal,
        });
      });
      refuseErrors(answer);
      return answer;
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      this.#options.observer?.({
        endpoint,
        method,
        url: this.#options.url + API_PATH + path,
        correlationId: options.correlationId,
        durationMs: performance.now() - start,
        answer: answer && { status: answer.status, bytes: answer.body.length },
        error: failure,
      });
    }
  }
}

async function reach(exchange: () => Promise<ApiResponse>): Promise<ApiResponse> {
  try {
    return await exchange();
  } catch (error) {
    throw new Error('Internal API unreachable', { cause: error });
  }
}

function refuseErrors(answer: ApiResponse): void {
  if (answer.status >= 200 && answer.status <= 399) return;
  if (answer.status === 429) throw new RateLimitedError();
  const body = parseBody(answer.body.toString());
  throw new Error(
    body === undefined ? `Internal API error (${answer.status})` : (body.text('message') ?? ''),
  );
}

async function prefixed<T>(prefix: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw new Error(`${prefix}: ${isError(error) ? error.message : String(error)}`, { cause: error });
  }
}

function requireJson(answer: ApiResponse, path: string): void {
  const type = answer.contentType?.split(';', 1)[0]?.trim().toLowerCase();
  if (type === 'application/json') return;
  throw new Error(`${path} endpoint respond with unsupported content type: ${type || 'mime: no media type'}`);
}

function decode(answer: ApiResponse, prefix: string): JsonFields {
  const document = answer.body.toString();
  const fields = parseBody(document);
  if (fields !== undefined) return fields;
  throw new Error(
    `${prefix}: ${describeJsonError(document, 'stream') ?? 'json: cannot unmarshal value into an object'}`,
  );
}

/** Takes `null` for an object without fields, as Go's decoder does. */
function parseBody(document: string): JsonFields | undefined {
  return document.trim() === 'null' ? JsonFields.NONE : JsonFields.parse(document);
}
