import { CLIENT_NAME, CLIENT_NAME_OLD, CORRELATION_ID, FEATURE_FLAG_PREFIX } from '#rpc/common/header-names';
import { Metadata, type MetadataInit } from '#rpc/common/metadata';
import type { CallCredentials, CallOptions } from './call-types.ts';
import { currentCorrelationId } from './correlation.ts';
import { currentTraceContext, type TraceContext, traceHeaders } from './trace-context.ts';

/** Metadata that a connection adds to every call. */
export interface MetadataSources {
  readonly metadata?: MetadataInit | undefined;
  readonly clientName?: string | undefined;
  readonly correlationId?: string | (() => string | undefined) | undefined;
  readonly featureFlags?: Readonly<Record<string, boolean>> | undefined;
  readonly credentials?: CallCredentials | undefined;
  readonly traceContext?: (() => TraceContext | undefined) | false | undefined;
}

/** Makes the request metadata of the calls of one connection. */
export class CallMetadata {
  readonly #sources: MetadataSources;
  /** Metadata that every call sends. */
  readonly #common: Metadata;

  constructor(sources: MetadataSources) {
    this.#sources = sources;
    this.#common = Metadata.from(sources.metadata);
    if (sources.clientName !== undefined) {
      this.#common.set(CLIENT_NAME, sources.clientName);
      // Gitaly's labels read this key; Ruby sends only this one
      this.#common.set(CLIENT_NAME_OLD, sources.clientName);
    }
    setFlags(this.#common, sources.featureFlags);
  }

  /**
   * Returns the metadata of one call: the connection's, then the call's own, which replaces keys of
   * the same name. The result is the call's own list if nothing is added to it.
   */
  of(options: CallOptions): Metadata {
    const { correlationId: source, credentials, traceContext } = this.#sources;
    const correlationId = options.correlationId ?? currentCorrelationId() ?? resolveSource(source);
    const trace = traceOf(traceContext);
    const isComplete =
      this.#common.isEmpty && (correlationId ?? trace ?? credentials ?? options.featureFlags) === undefined;
    if (isComplete && options.metadata instanceof Metadata) return options.metadata;
    const metadata = this.#common.clone();
    if (correlationId !== undefined) metadata.set(CORRELATION_ID, correlationId);
    if (trace !== undefined) for (const [key, value] of traceHeaders(trace)) metadata.set(key, value);
    setFlags(metadata, options.featureFlags);
    if (credentials !== undefined) metadata.assign(credentials.metadata());
    if (options.metadata !== undefined) metadata.assign(options.metadata);
    return metadata;
  }
}

/** Adds feature flags: `find_all_tags: true` is sent as `gitaly-feature-find-all-tags: true`. */
function setFlags(metadata: Metadata, flags: Readonly<Record<string, boolean>> | undefined): void {
  if (flags === undefined) return;
  for (const [name, isOn] of Object.entries(flags)) {
    metadata.set(`${FEATURE_FLAG_PREFIX}${name.replaceAll('_', '-')}`, String(isOn));
  }
}

function resolveSource(source: string | (() => string | undefined) | undefined): string | undefined {
  return typeof source === 'function' ? source() : source;
}

function traceOf(source: MetadataSources['traceContext']): TraceContext | undefined {
  if (source === false) return undefined;
  return source?.() ?? currentTraceContext();
}
