import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingHttpHeaders } from 'node:http';

/** Where a call stands in a distributed trace, in the text of the headers that carry it. */
export interface TraceContext {
  /** W3C: `00-<32 hex digits trace>-<16 hex digits span>-<2 hex digits flags>`. */
  readonly traceparent?: string;
  /** W3C: what tracing systems add for themselves. */
  readonly tracestate?: string;
  /** Jaeger: `<trace>:<span>:<parent span>:<flags>`, all hex digits. What Gitaly's OpenTracing reads. */
  readonly uberTraceId?: string;
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;
const UBER_TRACE_ID = /^([0-9a-f]{1,32}):([0-9a-f]{1,16}):[0-9a-f]{0,16}:([0-9a-f]{1,2})$/i;
const PRINTABLE = /^[\x20-\x7e]+$/;

const contexts = new AsyncLocalStorage<TraceContext>();

/** Runs `work`; every call made in it, also later from its callbacks, belongs to this trace. */
export function withTraceContext<T>(context: TraceContext, work: () => T): T {
  return contexts.run(context, work);
}

/** The context of the surrounding `withTraceContext`. */
export function currentTraceContext(): TraceContext | undefined {
  return contexts.getStore();
}

/** Takes the context out of the headers of a request that this process serves. */
export function traceContextOf(headers: IncomingHttpHeaders): TraceContext {
  const text = (name: string) => {
    const value = headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  const [traceparent, tracestate, uberTraceId] = [text('traceparent'), text('tracestate'), text('uber-trace-id')];
  return {
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(tracestate === undefined ? {} : { tracestate }),
    ...(uberTraceId === undefined ? {} : { uberTraceId }),
  };
}

/**
 * The headers that carry a context. Of `traceparent` and `uber-trace-id` the one that is missing is made from the other, so that
 * servers of both kinds join the trace. What is malformed is left out: tracing never fails a call.
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
