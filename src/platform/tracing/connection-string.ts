import { addressProblem } from '#base/go/net/address-problem';
import { parseUrl, urlProblem } from '#base/go/net/url';
import { quote } from '#base/go/quote';
import { parseBool } from '#base/go/strconv';

/** Where traces are sent, and how many: the value of `GITLAB_TRACING`. */
export interface TracingSettings {
  readonly protocol: 'grpc' | 'http';
  /** `host:port` of an OTLP collector. */
  readonly endpoint: string;
  /** True for a connection without TLS. */
  readonly isInsecure: boolean;
  /** Share of the traces that are recorded, 0 to 1. */
  readonly ratio: number;
  /** Headers of each export, such as API keys. They are secrets. */
  readonly headers: Readonly<Record<string, string>>;
}

const DEFAULT_RATIO = 0.001;
const OTLP_GRPC_PORT = 4317;
const HEADER_PREFIX = 'header^';

/**
 * Parses `otlp-grpc://HOST:PORT?OPTIONS`, `otlp-http://HOST:PORT?OPTIONS`, or the older
 * `opentracing://jaeger?OPTIONS`, which represents OTLP over gRPC on the host of `udp_endpoint`.
 * Options: `insecure` (default true), `sampler_param` (share, default 0.001), `header^NAME=VALUE`.
 *
 * @throws {Error} with Gitaly's text.
 */
export function parseTracing(text: string): TracingSettings {
  if (text === '') throw invalid('empty connection string');
  const problem = urlProblem(text);
  if (problem !== undefined) throw invalid(`failed to parse connection string: ${problem}`);
  const { scheme = '', host = '' } = parseUrl(text) ?? {};
  const query = new URLSearchParams(/\?([^#]*)/.exec(text)?.[1]);
  const target = targetOf(scheme, host, query);
  return { ...target, isInsecure: insecureOf(query), ratio: ratioOf(query), headers: headersOf(query) };
}

function targetOf(
  scheme: string,
  host: string,
  query: URLSearchParams,
): Pick<TracingSettings, 'protocol' | 'endpoint'> {
  switch (scheme) {
    case '':
      throw invalid('no protocol specified in connection string');
    case 'otlp-grpc':
    case 'otlp-http': {
      if (host === '') throw invalid('no endpoint specified in connection string');
      const problem = addressProblem(host);
      if (problem !== undefined) throw invalid(`invalid endpoint format ${quote(host)}: ${problem}`);
      return { protocol: scheme === 'otlp-grpc' ? 'grpc' : 'http', endpoint: host };
    }
    case 'opentracing': {
      if (host === '') throw invalid('no provider specified in opentracing connection string');
      if (host === 'stackdriver') throw invalid('stackdriver is not supported; send to a collector by OTLP');
      const agent = /^(.+):[^:]+$/.exec(query.get('udp_endpoint') ?? '')?.[1] ?? 'localhost';
      return { protocol: 'grpc', endpoint: `${agent}:${OTLP_GRPC_PORT}` };
    }
    default:
      throw invalid(`unsupported protocol (${scheme})`);
  }
}

function insecureOf(query: URLSearchParams): boolean {
  const text = query.get('insecure');
  if (text === null) return true;
  const value = parseBool(text);
  if (value === undefined)
    throw invalid(
      `insecure option must be a boolean value: strconv.ParseBool: parsing ${quote(text)}: invalid syntax`,
    );
  return value;
}

function ratioOf(query: URLSearchParams): number {
  const text = query.get('sampler_param') ?? '';
  if (text === '') return DEFAULT_RATIO;
  const ratio = /^[+-]?(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(ratio))
    throw invalid(
      `sampler_param must be a float value: strconv.ParseFloat: parsing ${quote(text)}: invalid syntax`,
    );
  if (ratio < 0 || ratio > 1)
    throw new Error(`sampler_param is '${ratio}' but must be a float value between 0.0 and 1.0`);
  return ratio;
}

function headersOf(query: URLSearchParams): Record<string, string> {
  const headers = [...query].filter(([name]) => name.startsWith(HEADER_PREFIX)).reverse(); // the first counts
  return Object.fromEntries(headers.map(([name, value]) => [name.slice(HEADER_PREFIX.length), value]));
}

function invalid(reason: string): Error {
  return new Error(`invalid configuration: ${reason}`);
}
