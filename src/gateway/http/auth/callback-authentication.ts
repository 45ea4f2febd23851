import { createHmac, randomBytes } from 'node:crypto';
import { messageOf } from '#base/gitaly-error';
import type { AccessRequest, Admission, Authenticator } from '../authentication.ts';
import { BUSY_ANSWER, NOT_FOUND } from '../failure.ts';
import { RecentMap } from '../recent-map.ts';
import { Refusal } from '../refusal.ts';
import { type CallbackAnswer, parseCallbackAnswer } from './callback-answer.ts';
import { challenge, SIGN_IN, WRONG_CREDENTIALS } from './challenge.ts';
import { type Credentials, parseCredentials } from './credentials.ts';

export interface CallbackAuthenticationOptions {
  /** `http:` or `https:`; is sent a POST for every request of git. docs/http-door.md has its shape. */
  readonly url: string;
  /** Sent as `Authorization: Bearer …`, so that the URL can tell who asks. */
  readonly token?: string;
  /** Default 5000. */
  readonly timeoutMs?: number;
  /** How long an answer that allows counts for the same question. Default 0: every request asks. */
  readonly cacheMs?: number;
  /** Questions that run at once; more are refused with 503. Default 128. */
  readonly maxPending?: number;
}

const DEFAULTS = { timeoutMs: 5000, cacheMs: 0, maxPending: 128 } as const;
const MAX_CACHED = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;

interface Remembered {
  readonly admission: Admission;
  readonly untilMs: number;
}

/**
 * Asks a URL about every request. What does not answer clearly and in time lets nobody in: the client is answered with 503.
 *
 * @throws {TypeError} for a URL that cannot be asked.
 */
export function callbackAuthentication(options: CallbackAuthenticationOptions): Authenticator {
  const { cacheMs, maxPending, timeoutMs, token, url } = { ...DEFAULTS, ...options };
  checkUrl(url);
  const headers = { 'Content-Type': 'application/json', ...(token !== undefined && { Authorization: `Bearer ${token}` }) };
  const key = randomBytes(32);
  const remembered = new RecentMap<string, Remembered>(MAX_CACHED);
  let pending = 0;

  const ask = async (body: string): Promise<CallbackAnswer> => {
    if (pending >= maxPending) throw new Refusal(BUSY_ANSWER);
    pending++;
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      const response = await fetch(url, { method: 'POST', headers, body, redirect: 'error', signal });
      return parseCallbackAnswer(response.status, await textOf(response));
    } catch (error) {
      throw new Refusal(UNCERTAIN, { cause: new Error(`asking the authentication URL: ${messageOf(error)}`) });
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
      if (known !== undefined && performance.now() < known.untilMs) return known.admission;

      const answer = await ask(question);
      if (!answer.isAllowed) return { answer: refusalOf(answer, credentials) };
      const { admission } = answer;
      if (cacheMs > 0) remembered.set(id, { admission, untilMs: performance.now() + cacheMs });
      return admission;
    },
  };
}

const UNCERTAIN = {
  status: 503,
  text: 'Whether you may do this cannot be found out at this time. Try again in a moment.',
  headers: { 'Retry-After': '1' },
};

function checkUrl(url: string): void {
  const { password, protocol, username } = new URL(url);
  if (!['http:', 'https:'].includes(protocol) || username !== '' || password !== '') {
    throw new TypeError('the authentication URL must begin with http:// or https:// and hold no name or password');
  }
}

function questionOf({ operation, path, remoteAddress, scheme }: AccessRequest, credentials: Credentials): object {
  return {
    ...(credentials.kind === 'basic' && { username: credentials.username, password: credentials.password.reveal() }),
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

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`the answer has more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
