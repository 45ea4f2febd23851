import { codeOf } from '#base/gitaly-error';
import { statusName } from '#base/go/status';
import type { GitalyMetrics } from '#platform/metrics/gitaly-metrics';
import type { MethodLabels, MethodMetrics } from '#platform/metrics/grpc-metrics';
import {
  AUTHORIZATION,
  CALL_SITE,
  CLIENT_NAME,
  CLIENT_NAME_OLD,
  DEADLINE_TYPE,
} from '#rpc/common/header-names';
import type { MethodInfo } from '#wire/method-info';
import type { ServerCall, ServerInterceptor } from '../server-call.ts';
import { deadlineType } from './caller-facts.ts';

export interface CallMetricsOptions {
  readonly methodMetrics: (method: MethodLabels) => MethodMetrics;
  readonly clientRequest: GitalyMetrics['clientRequest'];
}

/** Returns the metric labels of a method. */
export function methodLabels({ kind, service, name }: MethodInfo): MethodLabels {
  return { type: kind, service, method: name };
}

/**
 * Returns the interceptor that counts calls: start, end by status, messages, time, and the client's
 * labels.
 */
export function countCalls({ methodMetrics, clientRequest }: CallMetricsOptions): ServerInterceptor {
  const byMethod = new WeakMap<MethodInfo, MethodMetrics>();
  const metricsOf = (method: MethodInfo): MethodMetrics => {
    const metrics = byMethod.get(method) ?? methodMetrics(methodLabels(method));
    byMethod.set(method, metrics);
    return metrics;
  };
  return async (call, next) => {
    const metrics = metricsOf(call.method);
    metrics.started.inc();
    let code = 'OK';
    try {
      await next();
    } catch (error) {
      code = statusName(codeOf(error) ?? 'UNKNOWN');
      throw error;
    } finally {
      metrics.handled(code).inc();
      metrics.messagesReceived.inc(call.requestMessages);
      metrics.messagesSent.inc(call.responseMessages);
      metrics.handlingSeconds?.observe((performance.now() - call.startedAtMs) / 1000);
      clientRequest(clientLabels(call, code)).inc();
    }
  };
}

/**
 * Returns the client's labels. The registry bounds their number and counts the excess in one
 * series.
 */
function clientLabels(
  { method, headers, context }: ServerCall,
  code: string,
): Parameters<GitalyMetrics['clientRequest']>[0] {
  return {
    client_name: headers.get(CLIENT_NAME) ?? headers.get(CLIENT_NAME_OLD) ?? 'unknown',
    grpc_service: method.service,
    grpc_method: method.name,
    call_site: headers.get(CALL_SITE) ?? 'unknown',
    auth_version: headers.has(AUTHORIZATION) ? 'v2' : 'unknown',
    grpc_code: code,
    deadline_type: deadlineType(headers.get(DEADLINE_TYPE), context.deadline) ?? 'unknown',
    method_operation: method.operation,
    method_scope: method.scope === 'none' ? 'unknown' : method.scope,
  };
}
