import type { Metadata } from '#rpc/common/metadata';
import type { HandlerContext } from '#rpc/server/handler';

/** Response headers that belong to one connection. */
const OWN_HEADERS: ReadonlySet<string> = new Set([':status', 'content-type', 'date']);

/** Copies a node's headers to the client's. They arrive before the first message. */
export function copyHeaders(from: Metadata, context: Pick<HandlerContext, 'responseHeaders'>): void {
  for (const [key, value] of from.entries())
    if (!key.startsWith('grpc-') && !OWN_HEADERS.has(key)) context.responseHeaders.append(key, value);
}

/** Copies a node's trailers to the client's. */
export function copyTrailers(from: Metadata, { trailers }: Pick<HandlerContext, 'trailers'>): void {
  for (const [key, value] of from.entries()) if (!key.startsWith('grpc-')) trailers.append(key, value);
}
