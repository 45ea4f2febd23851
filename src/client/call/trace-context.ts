import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingHttpHeaders } from 'node:http';

/** Position of a call in a distributed trace, as the text of the headers. */
export interface TraceContext {
  /** W3C: `00-<32 hex digits trace>-<16 hex digits span>-<2 hex digits flags>`. */
  readonly traceparent?: string;
  /** W3C: data of the tracing systems. */
  readonly tracestate?: string;
  /**
   * Jaeger: `<trace>:<span>:<parent span>:<flags>`, all hex digits. Gitaly's OpenTracing reads it.
   */
  readonly uberTraceId?: string;
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;
const UBER_TRACE_ID = /^([0-9a-f]{1,32}):([0-9a-f]{1,16}):[0-9a-f]{0,16}:([0-9a-f]{1,2})$/i;
const PRINTABLE = /^[\x20-\x7e]+$/;

const contexts = new AsyncLocalStorage<TraceContext>();

/** Runs `work`. Calls in it, and in its later callbacks, belong to this trace. */
export function withTraceContext<T>(context: TraceContext, work: () => T): T {
  return contexts.run(context, work);
}

/** Returns the context of the surrounding `withTraceContext`. */
export function currentTraceContext(): TraceContext | undefined {
  return contexts.getStore();
}

/** Reads the context from the headers of a request that this process serves. */
export function traceContextOf(headers: IncomingHttpHeaders): TraceContext {
  const text = (name: string) => {
    const value = headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  const [traceparent, tracestate, uberTraceId] = [
    text('traceparent'),
    text('tracestate'),
    text('uber-trace-id'),
  ];
  return {
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(tracestate === undefined ? {} : { tracestate }),
    ...(uberTraceId === undefined ? {} : { uberTraceId }),
  };
}

/**
 * Returns the headers for a context. A missing `traceparent` or `uber-trace-id` is derived from the
 * other, so that servers of both kinds join the trace. Malformed values are omitted: tracing never
 * fails a call.
 */
export function traceHeaders(context: TraceContext): readonly (readonly [key: string, value: string])[] {
  const parent = TRACEPARENT.exec(context.traceparent ?? '');
  const uber = UBER_TRACE_ID.exec(context.uberTraceId ?? '');
  const traceparent = parent?.[0] ?? (uber === null ? undefined : toTraceparent(uber));
  if (traceparent === undefined) return [];

  const [, trace = '', span = '', flags = ''] = TRACEPARENT.exec(traceparent) ?? [];
  const headers: [string, string][] = [
    ['traceparent', traceparent],
    ['uber-trace-id', uber?.[0] ?? `${trace}:${span}:0:${Number.parseInt(flags, 16).toString(16)}`],
  ];
  const { tracestate = '' } = context;
  if (parent !== null && PRINTABLE.test(tracestate)) headers.push(['tracestate', tracestate]);
  return headers;
}

/** Jaeger leaves out leading zeros, and its flags have more bits; bit 0 means "sampled" in both. */
function toTraceparent([, trace = '', span = '', flags = '']: RegExpExecArray): string {
  const sampled = Number.parseInt(flags, 16) & 1;
  return `00-${trace.toLowerCase().padStart(32, '0')}-${span.toLowerCase().padStart(16, '0')}-0${sampled}`;
}
