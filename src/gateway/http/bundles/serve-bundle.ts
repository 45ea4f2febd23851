import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ByteRange } from '#base/network/byte-range';
import { requestedContent } from '#base/network/requested-content';
import { verifySignedUrl } from '#object-store/file/sign-url';
import { isObjectKey } from '#object-store/object-key';
import type { ObjectFacts } from '#object-store/object-store';
import { MissingObjectError } from '#object-store/store-error';
import type { Answer } from '../answer.ts';
import type { HttpExchange } from '../http-exchange.ts';
import { HttpRefusal } from '../refusal.ts';
import type { BundleSource } from './bundle-source.ts';
import { sendBody } from './send-body.ts';
import { sendFile } from './send-file.ts';

const WRONG_SIGNATURE: Answer = {
  status: 403,
  text: 'This address is not signed, or has expired. Clone again: the server sends a new one.',
};
const NO_BUNDLE: Answer = { status: 404, text: 'There is no such bundle any more. Clone again.' };
const SUFFIX = '.bundle';

export interface BundleExchange extends Pick<HttpExchange, 'request' | 'response' | 'signal'> {
  /** The query of the address. */
  readonly query: string;
}

/**
 * Serves a bundle, or a range of it, to a client with a signed address.
 *
 * @throws {HttpRefusal} for an address without a valid signature, and for a missing object.
 */
export async function serveBundle(exchange: BundleExchange, { store, secret }: BundleSource): Promise<void> {
  const { request, response, query, signal } = exchange;
  const key = verifySignedUrl(secret, new URLSearchParams(query), Date.now());
  if (key === undefined) throw new HttpRefusal(WRONG_SIGNATURE);
  const facts = key.endsWith(SUFFIX) && isObjectKey(key) ? await store.head(key, { signal }) : undefined;
  if (facts === undefined) throw new HttpRefusal(NO_BUNDLE);
  const range = prepare(request, response, facts);
  if (range === undefined || request.method === 'HEAD') return void response.end();
  try {
    await using file = await store.openFile?.(facts.key, { signal });
    const rest = file === undefined ? range : await sendFile(response, file, range, { signal });
    const pieces = store.get(facts.key, { range: rest, mayReuse: true, signal });
    await sendBody(response, pieces, rest.length);
  } catch (error) {
    if (error instanceof MissingObjectError && !response.headersSent) throw new HttpRefusal(NO_BUNDLE);
    throw error;
  }
}

/** Sets the status and the headers. @returns the bytes to send; `undefined` for none. */
function prepare(
  request: IncomingMessage,
  response: ServerResponse,
  { sizeBytes, modifiedMs, version }: ObjectFacts,
): ByteRange | undefined {
  const etag = `"${version.replaceAll('"', '')}"`;
  const { headers, range, status } = requestedContent(request.headers, { etag, sizeBytes });
  response.setHeaders(new Map(Object.entries(headers)));
  response.setHeader('Last-Modified', new Date(modifiedMs).toUTCString());
  response.setHeader('Cache-Control', 'private, no-transform');
  if (range !== undefined) response.setHeader('Content-Type', 'application/x-git-bundle');
  response.statusCode = status;
  return range;
}
