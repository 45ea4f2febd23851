import { codeOf, GitalyError, messageOf, type StatusCode } from '#base/gitaly-error';
import { statusName } from '#base/go/status';
import { enabledFlagNames } from '#platform/flags/feature-flags';
import { accessLogLevel, localTimestamps, roundedMs } from '#platform/log/access-log';
import { FieldList } from '#platform/log/field-list';
import type { Logger } from '#platform/log/logger';
import type { Metadata } from '#rpc/common/metadata';
import type { MethodInfo, MethodKind } from '#wire/method-info';
import type { CallStage, ServerCall, ServerInterceptor } from '../server-call.ts';
import { addCallerFacts, addMethodFacts, addTargetFacts } from './caller-facts.ts';

export interface AccessLogOptions {
  readonly logger: Logger;
  /** Reports whether calls of a full method name are logged. */
  readonly isLogged: (fullMethod: string) => boolean;
  /** First part of the field `component`; default `gitaly`. */
  readonly program?: string;
  /** Returns the kind as which calls of a method are logged. Default: that of the method. */
  readonly kindOf?: (method: MethodInfo) => MethodKind;
}

/** Returns the interceptor that logs one line per finished call, with Gitaly's field names. */
export function accessLog({
  isLogged,
  kindOf = ({ kind }) => kind,
  logger,
  program = 'gitaly',
}: AccessLogOptions): ServerInterceptor {
  const texts: Texts = {
    startTime: localTimestamps(),
    deadline: localTimestamps(),
    flags: enabledFlagNames(),
  };
  const kinds = { unary: new LoggedKind(program, 'unary'), stream: new LoggedKind(program, 'stream') };
  // Calls of a busy server end one after another, so they can share a list.
  const line = new FieldList();
  const stage: CallStage = {
    end(call, failure) {
      const code = failure === undefined ? 'OK' : (codeOf(failure) ?? 'UNKNOWN');
      const level = accessLogLevel(code);
      if (!logger.isEnabled(level)) return;
      const methodKind = kindOf(call.method);
      const kind = kinds[methodKind === 'unary' ? 'unary' : 'stream'];
      line.clear();
      line.add('component', kind.component);
      addCall(line, call, { code, kind: methodKind }, texts);
      addFailure(line, failure);
      logger.log(level, line, kind.endText(code));
    },
  };
  return ({ method }) => (isLogged(method.path) ? stage : undefined);
}

/** Texts in the lines of one kind of calls. */
class LoggedKind {
  readonly component: string;
  readonly #name: string;
  readonly #endTexts = new Map<StatusCode, string>();

  constructor(program: string, kind: 'unary' | 'stream') {
    this.component = `${program}.${kind === 'unary' ? 'Unary' : 'Stream'}ServerInterceptor`;
    this.#name = kind === 'unary' ? 'unary' : 'streaming';
  }

  endText(code: StatusCode): string {
    let text = this.#endTexts.get(code);
    if (text === undefined) {
      text = `finished ${this.#name} call with code ${statusName(code)}`;
      this.#endTexts.set(code, text);
    }
    return text;
  }
}

/** Formatters that remember their last text, one for each field that repeats. */
interface Texts {
  readonly startTime: (milliseconds: number) => string;
  readonly deadline: (milliseconds: number) => string;
  readonly flags: (headers: Metadata) => string | undefined;
}

function addCall(
  fields: FieldList,
  call: ServerCall,
  { code, kind }: { code: StatusCode; kind: MethodKind },
  texts: Texts,
): void {
  const { method, headers, context, peer, deadlineMs } = call;
  fields.add('system', 'grpc');
  fields.add('span.kind', 'server');
  fields.add('grpc.service', method.service);
  fields.add('grpc.method', method.name);
  fields.add('grpc.code', statusName(code));
  fields.add('grpc.time_ms', roundedMs(performance.now() - call.startedAtMs));
  fields.add('grpc.start_time', texts.startTime(call.arrivedAtMs));
  fields.add('grpc.request.payload_bytes', call.requestBytes);
  fields.add('grpc.response.payload_bytes', call.responseBytes);
  fields.add('peer.address', peer.address === '' ? '@' : peer.address);
  fields.add('correlation_id', context.correlationId);
  fields.addAll(call.logFields);
  if (deadlineMs !== undefined) fields.add('grpc.request.deadline', texts.deadline(deadlineMs));
  fields.add('feature_flags', texts.flags(headers));
  addMethodFacts(fields, method, kind);
  addCallerFacts(fields, call);
  addTargetFacts(fields, call);
}

function addFailure(fields: FieldList, failure: unknown): void {
  if (failure === undefined) return;
  fields.add('error', messageOf(failure));
  if (failure instanceof GitalyError && Object.keys(failure.metadata).length > 0)
    fields.add('error_metadata', failure.metadata);
}
