import type { HttpExchange } from '../http-exchange.ts';
import { type BodyLimits, RequestBody } from '../request-body.ts';
import type { Method } from './operation.ts';
import { Problem } from './problems.ts';
import { parseJson, wholeBody } from './read-request.ts';

const MAX_JSON_BYTES = 4 << 20;
const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;
/** Types that a page of another site may send without asking the server first. @see Fetch, 'CORS-safelisted' */
const FORM_TYPE = /^(?:$|text\/plain|application\/x-www-form-urlencoded|multipart\/form-data)/i;

/** Reads a body of JSON. @throws {Problem} {Refusal} */
export async function readJson(exchange: HttpExchange, fileLimits: BodyLimits): Promise<unknown> {
  const { request, sendContinue } = exchange;
  if (!JSON_TYPE.test(request.headers['content-type'] ?? ''))
    throw new Problem('unsupported-type', 415, 'The content type must be application/json.');
  sendContinue();
  const limits = { ...fileLimits, maxBytes: MAX_JSON_BYTES };
  return parseJson(await wholeBody(bodyOf(exchange, limits)));
}

/** Returns the bytes of a body that is a file. @throws {Problem} */
export function readBodyBytes(exchange: HttpExchange, limits: BodyLimits): AsyncIterable<Uint8Array> {
  const { request, sendContinue } = exchange;
  if (FORM_TYPE.test(request.headers['content-type'] ?? ''))
    throw new Problem('unsupported-type', 415, 'The content type must be application/octet-stream.');
  sendContinue();
  return bodyOf(exchange, limits);
}

/** The bytes of a request without a body that is a file. */
export const NO_BYTES: AsyncIterable<Uint8Array> = { async *[Symbol.asyncIterator]() {} };

/** @throws {Problem} for a body that the form of another site could send. */
export function requireNoForm({ request }: HttpExchange, method: Method): void {
  const type = request.headers['content-type'] ?? '';
  if (method !== 'GET' && FORM_TYPE.test(type) && type !== '')
    throw new Problem('unsupported-type', 415, 'The request must have no body.');
}

function bodyOf({ access, request }: HttpExchange, limits: BodyLimits): RequestBody {
  return RequestBody.of(request, limits, (chunk) => access?.input(chunk));
}
