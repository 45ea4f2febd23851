import {
  type Attributes,
  type Context,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { waitAtMost } from '#base/async/wait-at-most';
import { codeOf, messageOf } from '#base/gitaly-error';
import { type TraceContext, traceHeaders, withTraceContext } from '#client/call/trace-context';
import type { ProcessStart, ProcessStats } from '#git/command/process/start-process';
import type { Logger } from '#platform/log/logger';
import { maskUrlCredentials } from '#platform/log/mask-urls';
import { packageVersion } from '#platform/process/version';
import type { TracingSettings } from '#platform/tracing/connection-string';
import { statusNumber } from '#rpc/common/status-code';
import type { ServerCall } from '#rpc/server/server-call';
import type { Tracing } from './tracing.ts';

const EXPORT_LIMIT_MS = 5000;
/** Longest wait at the stop of a server for a collector that does not respond. */
const STOP_LIMIT_MS = 6000;
const LIMITS = { attributeValueLengthLimit: 1024, attributeCountLimit: 64 };
const MAX_ARGUMENTS = 40;

/** Starts the SDK of OpenTelemetry with one exporter. Disposing sends what is left. */
export async function openTelemetry(settings: TracingSettings, logger: Logger): Promise<Tracing> {
  logExportErrors(logger);
  const exporter = await exporterOf(settings);
  const provider = new TracerProvider({
    sampler: new TraceIdRatioBasedSampler(settings.ratio),
    spanLimits: LIMITS,
    resource: resourceFromAttributes({
      'service.name': 'gitaly',
      'service.version': packageVersion(),
      'process.pid': process.pid,
    }),
    spanProcessors: [new BatchSpanProcessor({ exporter, exportTimeoutMillis: EXPORT_LIMIT_MS })],
  });
  return new Spans(provider, logger);
}

async function exporterOf(settings: TracingSettings): Promise<SpanExporter> {
  if (settings.protocol === 'grpc') {
    const { GrpcSpanExporter } = await import('./grpc-span-exporter.ts');
    return new GrpcSpanExporter(settings);
  }
  return new OTLPTraceExporter({
    url: `${settings.isInsecure ? 'http' : 'https'}://${settings.endpoint}/v1/traces`,
    headers: { ...settings.headers },
    timeoutMillis: EXPORT_LIMIT_MS,
  });
}

/** The SDK reports lost batches only to its own logger, of which a process has one. */
function logExportErrors(logger: Logger): void {
  const warn = (text: string): void => logger.warn({ error: text }, 'distributed tracing');
  const ignore = (): void => {};
  const sink = { error: warn, warn, info: ignore, debug: ignore, verbose: ignore };
  diag.setLogger(sink, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
}

class Spans implements Tracing {
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #logger: Logger;
  readonly #spans = new WeakMap<ServerCall, Span>();

  constructor(provider: TracerProvider, logger: Logger) {
    this.#provider = provider;
    this.#tracer = provider.getTracer('gitaly');
    this.#logger = logger;
  }

  readonly interceptor: Tracing['interceptor'] = (call) => {
    const { method, context } = call;
    const attributes = {
      'rpc.system': 'grpc',
      'rpc.service': method.service,
      'rpc.method': method.name,
      correlation_id: context.correlationId,
    };
    const span = this.#tracer.startSpan(
      method.path.slice(1),
      { kind: SpanKind.SERVER, attributes },
      parentOf(call),
    );
    this.#spans.set(call, span);
    return {
      within: (run) => withTraceContext(traceContextOf(span), run),
      end(_call, failure) {
        const code = failure === undefined ? 'OK' : (codeOf(failure) ?? 'UNKNOWN');
        span.setAttribute('rpc.grpc.status_code', statusNumber(code));
        if (failure !== undefined) fail(span, failure);
        span.end();
      },
    };
  };

  started(startedAtMs: number): void {
    const startTime = new Date(performance.timeOrigin + startedAtMs);
    this.#tracer.startSpan('gitaly-bootstrap', { startTime }, ROOT_CONTEXT).end();
  }

  command(call: ServerCall | undefined, start: ProcessStart): ((stats: ProcessStats) => void) | undefined {
    const { program, subcommand, argv, pid, repositoryPath } = start;
    const name = subcommand === '' ? program : `${program}-${subcommand}`;
    const args = argv.slice(0, MAX_ARGUMENTS).map((argument) => maskUrlCredentials(String(argument)));
    const span = this.#begin(call, name, { path: repositoryPath ?? '', args: args.join(' '), pid });
    if (span === undefined) return undefined;
    return (stats) => {
      span.setAttributes(costOf(stats));
      if (stats.exit.code !== 0) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    };
  }

  wait(call: ServerCall, limit: string): () => void {
    const span = this.#begin(call, 'limiter.ConcurrencyLimiter.Limit', { key: limit });
    return () => span?.end();
  }

  hook(call: ServerCall | undefined, name: string): ((error?: unknown) => void) | undefined {
    const span = this.#begin(call, `hook-${name}`, {});
    return (
      span &&
      ((error) => {
        if (error !== undefined) fail(span, error);
        span.end();
      })
    );
  }

  environment(call: ServerCall): Readonly<Record<string, string>> {
    const span = this.#spans.get(call);
    return span === undefined ? {} : Object.fromEntries(traceHeaders(traceContextOf(span)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const warn = (error: unknown): void =>
      this.#logger.warn({ error: messageOf(error) }, 'the last spans could not be sent');
    await waitAtMost(this.#provider.shutdown().catch(warn), STOP_LIMIT_MS);
  }

  /** Begins a span of a call that is recorded. */
  #begin(call: ServerCall | undefined, name: string, attributes: Attributes): Span | undefined {
    const parent = call && this.#spans.get(call);
    if (parent?.isRecording() !== true) return undefined;
    return this.#tracer.startSpan(name, { attributes }, trace.setSpan(ROOT_CONTEXT, parent));
  }
}

/** Returns the context with the client's span, from either header. */
function parentOf({ headers }: ServerCall): Context {
  const [traceparent, uberTraceId] = [headers.get('traceparent'), headers.get('uber-trace-id')];
  const given = { ...(traceparent && { traceparent }), ...(uberTraceId && { uberTraceId }) };
  const parent = new Map(traceHeaders(given)).get('traceparent');
  const [, traceId = '', spanId = '', flags = ''] = parent?.split('-') ?? [];
  const remote: SpanContext = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED,
    isRemote: true,
  };
  return trace.isSpanContextValid(remote) ? trace.setSpanContext(ROOT_CONTEXT, remote) : ROOT_CONTEXT;
}

function traceContextOf(span: Span): TraceContext {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return { traceparent: `00-${traceId}-${spanId}-0${traceFlags & TraceFlags.SAMPLED}` };
}

function costOf({ exit }: ProcessStats): Attributes {
  const { usage } = exit;
  return {
    exit_code: exit.code ?? -1,
    real_time_ms: Math.round(exit.realMs),
    ...(usage && {
      user_time_ms: Math.round(usage.userMs),
      system_time_ms: Math.round(usage.systemMs),
      cpu_time_ms: Math.round(usage.userMs + usage.systemMs),
      inblock: usage.blocksIn,
      oublock: usage.blocksOut,
      minflt: usage.minorFaults,
      majflt: usage.majorFaults,
      maxrss_bytes: usage.maxRssKilobytes * 1024,
    }),
  };
}

function fail(span: Span, error: unknown): void {
  span.setStatus({ code: SpanStatusCode.ERROR, message: maskUrlCredentials(messageOf(error)) });
}
