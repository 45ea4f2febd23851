import { requestedContent } from '#base/network/requested-content';
import type { FoundFile, LfsObjects } from '#object-store/lfs-objects';
import type { Answer } from '../answer.ts';
import { sendBody } from '../bundles/send-body.ts';
import { sendFile } from '../bundles/send-file.ts';
import type { HttpExchange } from '../http-exchange.ts';

/** A transfer between a client and the store. */
export interface Transfer extends Pick<HttpExchange, 'request' | 'response' | 'signal'> {
  readonly objects: LfsObjects;
}

/** Sends a file, or a range of it. */
export async function sendLfsFile(
  { objects, request, response, signal }: Transfer,
  file: FoundFile,
): Promise<void> {
  const { headers, range, status } = requestedContent(request.headers, {
    etag: `"${file.oid}"`,
    sizeBytes: file.size,
  });
  response.setHeaders(new Map(Object.entries(headers)));
  response.setHeader('Cache-Control', 'private, no-transform');
  response.setHeader('Content-Type', 'application/octet-stream');
  response.statusCode = status;
  if (range === undefined || request.method === 'HEAD') return void response.end();
  await using opened = await objects.open(file, signal);
  const rest = opened === undefined ? range : await sendFile(response, opened, range, { signal });
  await sendBody(response, objects.read(file, rest, signal), rest.length);
}

/** Stores the body of a request as a file. @returns the response. */
export async function receiveLfsFile(
  { objects, request, signal }: Transfer,
  oid: string,
  body: AsyncIterable<Uint8Array>,
): Promise<Answer> {
  const length = request.headers['content-length'];
  const isEncoded = request.headers['content-encoding'] !== undefined;
  const sizeBytes = length === undefined || isEncoded ? undefined : Number(length);
  await objects.write(oid, body, { sizeBytes, signal });
  return { status: 200, text: '' };
}
