import { codeOf, GitalyError, messageOf, type StatusCode } from '#base/gitaly-error';
import { statusName } from '#base/go/status';
import { RequestFlags } from '#platform/flags/feature-flags';
import { accessLogLevel, localTimestamp, roundedMs } from '#platform/log/access-log';
import type { Logger } from '#platform/log/logger';
import type { MethodInfo } from '#wire/method-info';
import type { ServerCall, ServerInterceptor } from '../server-call.ts';
import { callerFacts, methodFacts, targetFacts } from './caller-facts.ts';
import { type RequestTarget, requestTarget } from './request-target.ts';

export interface AccessLogOptions {
  readonly logger: Logger;
  /** Reports whether calls of a full method name are logged. */
  readonly isLogged: (fullMethod: string) => boolean;
  /** First part of the field `component`; default `gitaly`. */
  readonly program?: string;
  /** Reports whether a call is logged as unary. Default: as its method is. */
  readonly isUnary?: (method: MethodInfo) => boolean;
}

/** Returns the interceptor that logs one line per finished call, with Gitaly's field names. */
export function accessLog({
  isLogged,
  isUnary = ({ kind }) => kind === 'unary',
  logger,
  program = 'gitaly',
}: AccessLogOptions): ServerInterceptor {
  return async (call, next) => {
    if (!isLogged(call.method.path)) return next();
    const startedAt = new Date();
    let target: RequestTarget | undefined;
    call.onRequest((message, index) => {
      if (index === 0) target = requestTarget(call, message);
    });
    let failure: unknown;
    try {
      await next();
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      const code = failure === undefined ? 'OK' : (codeOf(failure) ?? 'UNKNOWN');
      const level = accessLogLevel(code);
      if (logger.isEnabled(level))
        logger.log(
          level,
          fieldsOf(call, { startedAt, target, code, failure, program, isUnary: isUnary(call.method) }),
          `finished ${isUnary(call.method) ? 'unary' : 'streaming'} call with code ${statusName(code)}`,
        );
    }
  };
}

interface Outcome {
  readonly startedAt: Date;
  readonly target: RequestTarget | undefined;
  readonly code: StatusCode;
  readonly failure: unknown;
  readonly program: string;
  readonly isUnary: boolean;
}

function fieldsOf(
  call: ServerCall,
  { code, failure, isUnary, program, startedAt, target }: Outcome,
): Record<string, unknown> {
  const { method, headers, context } = call;
  const fields: Record<string, unknown> = {
    component: `${program}.${isUnary ? 'Unary' : 'Stream'}ServerInterceptor`,
    system: 'grpc',
    'span.kind': 'server',
    'grpc.service': method.service,
    'grpc.method': method.name,
    'grpc.code': statusName(code),
    'grpc.time_ms': roundedMs(performance.now() - call.startedAtMs),
    'grpc.start_time': localTimestamp(startedAt),
    'grpc.request.payload_bytes': call.requestBytes,
    'grpc.response.payload_bytes': call.responseBytes,
    'peer.address': call.peer.address === '' ? '@' : call.peer.address,
    correlation_id: context.correlationId,
    ...call.logFields,
  };
  if (context.deadline !== undefined) fields['grpc.request.deadline'] = localTimestamp(context.deadline);
  if (context.deadline === undefined) fields['grpc.meta.deadline_type'] = 'none';
  const flags = new RequestFlags(headers).enabledNames();
  if (flags !== undefined) fields.feature_flags = flags;
  Object.assign(fields, methodFacts(call), callerFacts(call), targetFacts(target));
  addFailure(fields, failure);
  return fields;
}

function addFailure(fields: Record<string, unknown>, failure: unknown): void {
  if (failure === undefined) return;
  fields.error = messageOf(failure);
  if (failure instanceof GitalyError && Object.keys(failure.metadata).length > 0)
    fields.error_metadata = failure.metadata;
}
