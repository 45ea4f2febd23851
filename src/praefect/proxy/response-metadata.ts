import type { Metadata } from '#rpc/common/metadata';
import type { HandlerContext } from '#rpc/server/handler';

/** Response headers that belong to one connection. */
const OWN_HEADERS: ReadonlySet<string> = new Set(['content-type', 'date']);

/** Copies a node's headers to the client's. They arrive before the first message. */
export function copyHeaders(from: Metadata, context: Pick<HandlerContext, 'responseHeaders'>): void {
  from.forEachWire((key, value) => {
    if (!key.startsWith('grpc-') && !OWN_HEADERS.has(key)) context.responseHeaders.appendWire(key, value);
  });
}

/** Copies a node's trailers to the client's. */
export function copyTrailers(from: Metadata, context: Pick<HandlerContext, 'trailers'>): void {
  from.forEachWire((key, value) => {
    if (!key.startsWith('grpc-')) context.trailers.appendWire(key, value);
  });
}
