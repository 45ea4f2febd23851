import { createHmac, randomBytes } from 'node:crypto';
import { timerMs } from '#base/async/timer-ms';
import { checkNames, type NamesOf, namesIn } from '#base/check-names';
import { messageOf } from '#base/gitaly-error';
import { BoundedMap } from '#base/memory/bounded-map';
import type { AccessRequest, Admission, Authenticator } from '../authentication.ts';
import { BUSY_ANSWER, NOT_FOUND } from '../failure.ts';
import { HttpRefusal } from '../refusal.ts';
import { type CallbackAnswer, parseCallbackAnswer } from './callback-answer.ts';
import { challenge, SIGN_IN, WRONG_CREDENTIALS } from './challenge.ts';
import { type Credentials, parseCredentials } from './credentials.ts';

export interface CallbackAuthenticationOptions {
  /**
   * An `http:` or `https:` URL that receives a POST for every request of git. See
   * docs/http-gateway.md for the format.
   */
  readonly url: string;
  /** Sent as `Authorization: Bearer …`, so that the URL can authenticate the gateway. */
  readonly token?: string;
  /** Default 5000. */
  readonly timeoutMs?: number;
  /**
   * Time for which an allowing response is cached for the same request. Default 0: every request
   * calls the URL.
   */
  readonly cacheMs?: number;
  /** Maximum number of concurrent calls; further ones are refused with 503. Default 128. */
  readonly maxPending?: number;
}

const DEFAULTS = { timeoutMs: 5000, cacheMs: 0, maxPending: 128 } as const;
const NAMES: NamesOf<CallbackAuthenticationOptions> = { url: true, token: true, ...namesIn(DEFAULTS) };
const MAX_CACHED = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * Returns an authenticator that calls a URL for every request. An invalid or late response refuses
 * the request with 503.
 *
 * @throws {TypeError} for an invalid URL.
 */
export function callbackAuthentication(options: CallbackAuthenticationOptions): Authenticator {
  checkNames('callbackAuthentication', options, NAMES);
  const { cacheMs, maxPending, timeoutMs, token, url } = { ...DEFAULTS, ...options };
  checkUrl(url);
  const headers = {
    'Content-Type': 'application/json',
    ...(token !== undefined && { Authorization: `Bearer ${token}` }),
  };
  const key = randomBytes(32);
  const remembered = new BoundedMap<string, Admission>({ maxEntries: MAX_CACHED, maxAgeMs: cacheMs });
  let pending = 0;

  const ask = async (body: string): Promise<CallbackAnswer> => {
    if (pending >= maxPending) throw new HttpRefusal(BUSY_ANSWER);
    pending++;
    try {
      const signal = AbortSignal.timeout(timerMs(timeoutMs));
      const response = await fetch(url, { method: 'POST', headers, body, redirect: 'error', signal });
      return parseCallbackAnswer(response.status, await readText(response));
    } catch (error) {
      throw new HttpRefusal(UNCERTAIN, {
        cause: new Error(`calling the authentication URL: ${messageOf(error)}`),
      });
    } finally {
      pending--;
    }
  };

  return {
    async authenticate(request) {
      const credentials = parseCredentials(request.headers.authorization);
      if (credentials.kind === 'unusable') return { answer: WRONG_CREDENTIALS };
      const question = JSON.stringify(questionOf(request, credentials));
      const id = createHmac('sha256', key).update(question).digest('base64');
      const known = remembered.get(id);
      if (known !== undefined) return known;

      const answer = await ask(question);
      if (!answer.isAllowed) return { answer: refusalOf(answer, credentials) };
      const { admission } = answer;
      if (cacheMs > 0) remembered.set(id, admission);
      return admission;
    },
  };
}

const UNCERTAIN = {
  status: 503,
  text: 'Your access cannot be checked at this time. Try again in a moment.',
  headers: { 'Retry-After': '1' },
};

function checkUrl(url: string): void {
  const { password, protocol, username } = new URL(url);
  if (!['http:', 'https:'].includes(protocol) || username !== '' || password !== '') {
    throw new TypeError(
      'the authentication URL must begin with http:// or https:// and contain no name or password',
    );
  }
}

function questionOf(
  { operation, path, remoteAddress, scheme }: AccessRequest,
  credentials: Credentials,
): object {
  return {
    ...(credentials.kind === 'basic' && {
      username: credentials.username,
      password: credentials.password.reveal(),
    }),
    ...(credentials.kind === 'bearer' && { token: credentials.token.reveal() }),
    service: operation === 'read' ? 'git-upload-pack' : 'git-receive-pack',
    operation,
    repository: path,
    remote_address: remoteAddress,
    scheme,
  };
}

function refusalOf({ message, status }: CallbackAnswer & { isAllowed: false }, credentials: Credentials) {
  const isAnonymous = credentials.kind === 'none';
  switch (status ?? (isAnonymous ? 401 : 403)) {
    case 401:
      return message === undefined ? (isAnonymous ? SIGN_IN : WRONG_CREDENTIALS) : challenge(message);
    case 404:
      return message === undefined ? NOT_FOUND : { ...NOT_FOUND, text: message };
    default:
      return { status: 403, text: message ?? 'This is not allowed.' };
  }
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`the response has more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
