import { SignJWT } from 'jose';
import { describeJsonError } from '#base/json-error';
import type { HttpAnswer, HttpTransport } from './http-transport.ts';
import {
  type AccessCheck,
  type AccessDecision,
  type ApiCallOptions,
  type ApiCheck,
  type FinishedPush,
  type InternalApi,
  type PostReceiveAnswer,
  RateLimitedError,
} from './internal-api.ts';
import { allowedBody, postReceiveBody, preReceiveBody } from './requests.ts';

/** The label under which the time of a call is counted (`gitaly_gitlab_api_latency_seconds{endpoint}`). */
export type ApiEndpoint = 'allowed' | 'pre-receive' | 'post-receive' | 'check';

export interface HttpInternalApiOptions {
  readonly transport: HttpTransport;
  /** Key of the tokens; space around it does not count. */
  readonly secret: string;
  /** Basic auth is sent when both are set. */
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** `gitaly/<version>` */
  readonly userAgent: string;
  readonly observeLatency?: ((endpoint: ApiEndpoint, seconds: number) => void) | undefined;
}

const API_PATH = '/api/v4/internal';
const TOKEN_LIFE_SECONDS = 60; // a fresh token for every request; GitLab refuses those older than this

/** GitLab's internal API over HTTP. Error texts are Gitaly's, they reach the pushing user as `GitLab: <text>`. */
export class HttpInternalApi implements InternalApi {
  readonly standAlone = false;
  readonly #options: HttpInternalApiOptions;
  readonly #key: Uint8Array;

  constructor(options: HttpInternalApiOptions) {
    this.#options = options;
    this.#key = Buffer.from(options.secret.trim());
  }

  async allowed(check: AccessCheck, options: ApiCallOptions): Promise<AccessDecision> {
    const answer = await this.#call('allowed', 'POST', '/allowed', allowedBody(check), options);
    if (answer.status !== 200 && answer.status !== 300) throw new Error(`gitlab api is not accessible: ${answer.status}`);
    requireJson(answer, '/allowed');
    const body = decode(answer, 'decoding response from /allowed endpoint');
    return { allowed: body.status === true, message: text(body.message) };
  }

  async preReceive(glRepository: string, options: ApiCallOptions): Promise<boolean> {
    const answer = await this.#post('pre-receive', '/pre_receive', preReceiveBody(glRepository), options);
    if (answer.status !== 200) throw new Error(`pre-receive call failed with status: ${answer.status}`);
    requireJson(answer, '/pre_receive');
    return decode(answer, 'decoding response from /pre_receive endpoint').reference_counter_increased === true;
  }

  async postReceive(push: FinishedPush, options: ApiCallOptions): Promise<PostReceiveAnswer> {
    const answer = await this.#post('post-receive', '/post_receive', postReceiveBody(push), options);
    if (answer.status !== 200) throw new Error(`post-receive call failed with status: ${answer.status}`);
    requireJson(answer, '/post_receive');
    const body = decode(answer, 'decoding response from /post_receive endpoint');
    const messages = Array.isArray(body.messages) ? body.messages : [];
    return {
      referenceCounterDecreased: body.reference_counter_decreased === true,
      messages: messages.filter(isRecord).map((entry) => ({ message: text(entry.message), type: text(entry.type) })),
    };
  }

  async check(options: ApiCallOptions): Promise<ApiCheck> {
    const answer = await prefixed('HTTP GET to GitLab endpoint /check failed', () => {
      return this.#call('check', 'GET', '/check', undefined, options);
    });
    if (answer.status !== 200) throw new Error(`Check HTTP request failed with status: ${answer.status}`);
    const body = decode(answer, 'failed to decode response from /check endpoint');
    return {
      gitlabVersion: text(body.gitlab_version),
      gitlabRevision: text(body.gitlab_revision),
      apiVersion: text(body.api_version),
      redis: body.redis === true,
    };
  }

  #post(endpoint: ApiEndpoint, path: string, body: string, options: ApiCallOptions): Promise<HttpAnswer> {
    return prefixed(`http post to gitlab api ${path} endpoint`, () => this.#call(endpoint, 'POST', path, body, options));
  }

  async #call(endpoint: ApiEndpoint, method: 'GET' | 'POST', path: string, body: string | undefined, options: ApiCallOptions) {
    const start = performance.now();
    try {
      const headers = await this.#headers(options);
      const answer = await reach(() => {
        return this.#options.transport({ method, path: API_PATH + path, headers, body, signal: options.signal });
      });
      refuseErrors(answer);
      return answer;
    } finally {
      this.#options.observeLatency?.(endpoint, (performance.now() - start) / 1000);
    }
  }

  async #headers({ correlationId, remoteIp }: ApiCallOptions): Promise<Record<string, string>> {
    const { user, password, userAgent } = this.#options;
    const nowSeconds = Math.floor(Date.now() / 1000);
    const token = await new SignJWT()
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer('gitlab-shell')
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + TOKEN_LIFE_SECONDS)
      .sign(this.#key);
    return {
      'Gitlab-Shell-Api-Request': token,
      'Content-Type': 'application/json',
      'User-Agent': userAgent,
      'X-Request-ID': correlationId,
      Connection: 'close',
      ...(remoteIp && { 'X-Forwarded-For': remoteIp }),
      ...(user && password && { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }),
    };
  }
}

async function reach(exchange: () => Promise<HttpAnswer>): Promise<HttpAnswer> {
  try {
    return await exchange();
  } catch (error) {
    throw new Error('Internal API unreachable', { cause: error });
  }
}

function refuseErrors(answer: HttpAnswer): void {
  if (answer.status >= 200 && answer.status <= 399) return;
  if (answer.status === 429) throw new RateLimitedError();
  const body = parseRecord(answer.body.toString());
  throw new Error(body === undefined ? `Internal API error (${answer.status})` : text(body.message));
}

async function prefixed<T>(prefix: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw new Error(`${prefix}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function requireJson(answer: HttpAnswer, path: string): void {
  const type = answer.contentType?.split(';', 1)[0]?.trim().toLowerCase();
  if (type === 'application/json') return;
  throw new Error(`${path} endpoint respond with unsupported content type: ${type || 'mime: no media type'}`);
}

function decode(answer: HttpAnswer, prefix: string): Record<string, unknown> {
  const document = answer.body.toString();
  const record = parseRecord(document);
  if (record !== undefined) return record;
  throw new Error(`${prefix}: ${describeJsonError(document, 'stream') ?? 'json: cannot unmarshal value into an object'}`);
}

function parseRecord(document: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(document);
    return value === null ? {} : isRecord(value) ? value : undefined;
  } catch {
    return undefined; // the caller says what is wrong, in Go's words
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
