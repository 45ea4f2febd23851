import { codeOf, GitalyError, messageOf, type StatusCode } from '#base/gitaly-error';
import { statusName } from '#base/go/status';
import { RequestFlags } from '#platform/flags/feature-flags';
import { accessLogLevel, localTimestamps, roundedMs } from '#platform/log/access-log';
import { FieldList } from '#platform/log/field-list';
import type { Logger } from '#platform/log/logger';
import type { MethodInfo } from '#wire/method-info';
import type { ServerCall, ServerInterceptor } from '../server-call.ts';
import { addCallerFacts, addMethodFacts, addTargetFacts } from './caller-facts.ts';
import { type NamedTargets, namedTargets } from './request-target.ts';

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
  const formats: Formats = { startTime: localTimestamps(), deadline: localTimestamps() };
  return async (call, next) => {
    if (!isLogged(call.method.path)) return next();
    const startedAtMs = Date.now();
    let targets: NamedTargets | undefined;
    call.onRequest((message, index) => {
      if (index === 0) targets = namedTargets(call, message);
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
          fieldsOf(
            call,
            { startedAtMs, targets, code, failure, program, isUnary: isUnary(call.method) },
            formats,
          ),
          `finished ${isUnary(call.method) ? 'unary' : 'streaming'} call with code ${statusName(code)}`,
        );
    }
  };
}

/** Formatters of the times of a line. Those of one field are mostly in the same second. */
interface Formats {
  readonly startTime: (milliseconds: number) => string;
  readonly deadline: (milliseconds: number) => string;
}

interface Outcome {
  /** Unix time. */
  readonly startedAtMs: number;
  readonly targets: NamedTargets | undefined;
  readonly code: StatusCode;
  readonly failure: unknown;
  readonly program: string;
  readonly isUnary: boolean;
}

function fieldsOf(
  call: ServerCall,
  { code, failure, isUnary, program, startedAtMs, targets }: Outcome,
  of: Formats,
): FieldList {
  const { method, headers, context, peer, logFields } = call;
  const { deadline } = context;
  const fields = new FieldList();
  fields.add('component', `${program}.${isUnary ? 'Unary' : 'Stream'}ServerInterceptor`);
  fields.add('system', 'grpc');
  fields.add('span.kind', 'server');
  fields.add('grpc.service', method.service);
  fields.add('grpc.method', method.name);
  fields.add('grpc.code', statusName(code));
  fields.add('grpc.time_ms', roundedMs(performance.now() - call.startedAtMs));
  fields.add('grpc.start_time', of.startTime(startedAtMs));
  fields.add('grpc.request.payload_bytes', call.requestBytes);
  fields.add('grpc.response.payload_bytes', call.responseBytes);
  fields.add('peer.address', peer.address === '' ? '@' : peer.address);
  fields.add('correlation_id', context.correlationId);
  fields.addAll(logFields);
  if (deadline !== undefined) fields.add('grpc.request.deadline', of.deadline(deadline.getTime()));
  fields.add('feature_flags', new RequestFlags(headers).enabledNames());
  addMethodFacts(fields, call);
  addCallerFacts(fields, call);
  addTargetFacts(fields, targets);
  addFailure(fields, failure);
  return fields;
}

function addFailure(fields: FieldList, failure: unknown): void {
  if (failure === undefined) return;
  fields.add('error', messageOf(failure));
  if (failure instanceof GitalyError && Object.keys(failure.metadata).length > 0)
    fields.add('error_metadata', failure.metadata);
}
