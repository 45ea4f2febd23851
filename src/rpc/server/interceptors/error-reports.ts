import { codeOf, messageOf, type StatusCode } from '#base/gitaly-error';
import { statusName } from '#base/go/status';
import type { Secret } from '#base/secret';
import type { Logger } from '#platform/log/logger';
import { packageVersion } from '#platform/process/version';
import { parseDsn } from '#platform/sentry/dsn';
import { SentryClient } from '#platform/sentry/sentry-client';
import type { CallStage, ServerCall, ServerInterceptor } from '../server-call.ts';
import { addCallerFacts, addMethodFacts, addTargetFacts, collectFacts } from './caller-facts.ts';

export interface ErrorReports extends AsyncDisposable {
  /** Reports calls that fail by a problem of the server. */
  readonly interceptor: ServerInterceptor;
  /** Reports an exception that no code expected. */
  exception(call: ServerCall | undefined, exception: unknown): void;
}

/** Codes of failures that are the client's, or normal, as in Gitaly. */
const NOT_REPORTED: ReadonlySet<StatusCode> = new Set<StatusCode>([
  'OK',
  'CANCELLED',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'FAILED_PRECONDITION',
]);

/** Keys of the configuration about Sentry. */
export interface SentryConfig {
  readonly sentryDsn: Secret | undefined;
  readonly sentryEnvironment: string | undefined;
}

/** Starts reports if there is a DSN. One that cannot be used is logged. */
export function errorReports(config: SentryConfig, logger: Logger): ErrorReports | undefined {
  const dsn = config.sentryDsn?.reveal();
  if (!dsn) return undefined;
  try {
    const version = packageVersion();
    const target = parseDsn(dsn, `gitaly-ts/${version}`);
    const options = { ...target, environment: config.sentryEnvironment, release: `v${version}`, logger };
    return new SentryReports(new SentryClient(options));
  } catch (error) {
    logger.warn({ error: messageOf(error) }, 'unable to initialize sentry client');
    return undefined;
  }
}

class SentryReports implements ErrorReports {
  readonly #client: SentryClient;

  constructor(client: SentryClient) {
    this.#client = client;
  }

  readonly #stage: CallStage = {
    end: (call, failure) => {
      if (failure === undefined) return;
      const code = codeOf(failure) ?? 'UNKNOWN';
      if (!NOT_REPORTED.has(code)) this.#report(call, failure, code);
    },
  };

  readonly interceptor: ServerInterceptor = () => this.#stage;

  exception(call: ServerCall | undefined, exception: unknown): void {
    const tags = { panic: '1', ...(call && { grpcMethod: call.method.path }) };
    this.#client.report({ error: exception, tags, withStack: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client[Symbol.asyncDispose]();
  }

  #report(call: ServerCall, error: unknown, code: StatusCode): void {
    const { method, startedAtMs } = call;
    const transaction = method.path.replace(/^\/(gitaly\.)?/, '').replace('/', '::');
    const tags = {
      ...collectFacts((facts) => {
        addCallerFacts(facts, call);
        addMethodFacts(facts, call.method);
        addTargetFacts(facts, call);
      }),
      correlation_id: call.context.correlationId,
      'grpc.code': statusName(code),
      'grpc.method': method.path,
      'grpc.time_ms': (performance.now() - startedAtMs).toFixed(0),
      system: 'grpc',
    };
    this.#client.report({ error, tags, transaction, fingerprint: ['grpc', transaction, statusName(code)] });
  }
}
