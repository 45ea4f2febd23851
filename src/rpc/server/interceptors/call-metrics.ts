import { codeOf } from '#base/gitaly-error';
import { statusName } from '#base/go/status';
import type { GitalyMetrics } from '#platform/metrics/gitaly-metrics';
import type { MethodLabels, MethodMetrics } from '#platform/metrics/grpc-metrics';
import { type Counter, OVERFLOW } from '#platform/metrics/metrics-registry';
import {
  AUTHORIZATION,
  CALL_SITE,
  CLIENT_NAME,
  CLIENT_NAME_OLD,
  DEADLINE_TYPE,
} from '#rpc/common/header-names';
import type { MethodInfo } from '#wire/method-info';
import type { CallStage, ServerCall, ServerInterceptor } from '../server-call.ts';
import { deadlineType } from './caller-facts.ts';

export interface CallMetricsOptions {
  readonly methodMetrics: (method: MethodLabels) => MethodMetrics;
  readonly clientRequest: GitalyMetrics['clientRequest'];
  /** Receives the error of each call that fails. */
  readonly onFailure?: (failure: unknown) => void;
}

export function methodLabels({ kind, service, name }: MethodInfo): MethodLabels {
  return { type: kind, service, method: name };
}

/**
 * Returns the interceptor that counts calls: start, end by status, messages, time, and the client's
 * labels.
 */
export function countCalls({
  methodMetrics,
  clientRequest,
  onFailure,
}: CallMetricsOptions): ServerInterceptor {
  const byMethod = new WeakMap<MethodInfo, MethodCounters>();
  const countersOf = (method: MethodInfo): MethodCounters => {
    let counters = byMethod.get(method);
    if (counters === undefined) {
      counters = { metrics: methodMetrics(methodLabels(method)), clients: [] };
      byMethod.set(method, counters);
    }
    return counters;
  };
  const stage: CallStage = {
    end(call, failure) {
      const { metrics, clients } = countersOf(call.method);
      const code = failure === undefined ? 'OK' : statusName(codeOf(failure) ?? 'UNKNOWN');
      metrics.handled(code).inc();
      metrics.messagesReceived.inc(call.requestMessages);
      metrics.messagesSent.inc(call.responseMessages);
      metrics.handlingSeconds?.observe((performance.now() - call.startedAtMs) / 1000);
      clientCounter(clients, call, code, clientRequest).inc();
      if (failure !== undefined) onFailure?.(failure);
    },
  };
  return ({ method }) => {
    countersOf(method).metrics.started.inc();
    return stage;
  };
}

/** Clients of a method whose counter is found without its labels. */
const MAX_RECENT_CLIENTS = 8;

interface MethodCounters {
  readonly metrics: MethodMetrics;
  /** The last different clients, the latest first. */
  readonly clients: RecentClient[];
}

/** The labels that clients choose, and their counter. */
interface RecentClient {
  readonly name: string;
  readonly callSite: string;
  readonly auth: string;
  readonly deadline: string;
  readonly code: string;
  readonly counter: Counter;
}

/**
 * Longest label that a client chooses, in characters. The longest ones of GitLab have about 60. A
 * header may have 64 KiB, and each label is kept as long as the server runs.
 */
const MAX_LABEL_LENGTH = 256;

function labelOf(value = 'unknown'): string {
  return value.length <= MAX_LABEL_LENGTH ? value : OVERFLOW;
}

/**
 * Returns the counter of a client. To find it by all its labels would cost as much as the other
 * counters together. The registry bounds the number of series and counts the excess in one.
 */
function clientCounter(
  recent: RecentClient[],
  { method, headers, deadlineMs }: ServerCall,
  code: string,
  clientRequest: GitalyMetrics['clientRequest'],
): Counter {
  const name = labelOf(headers.get(CLIENT_NAME) ?? headers.get(CLIENT_NAME_OLD));
  const callSite = labelOf(headers.get(CALL_SITE));
  const auth = headers.has(AUTHORIZATION) ? 'v2' : 'unknown';
  const deadline = labelOf(deadlineType(headers.get(DEADLINE_TYPE), deadlineMs));
  for (const client of recent)
    if (
      client.code === code &&
      client.name === name &&
      client.callSite === callSite &&
      client.auth === auth &&
      client.deadline === deadline
    )
      return client.counter;
  const counter = clientRequest({
    client_name: name,
    grpc_service: method.service,
    grpc_method: method.name,
    call_site: callSite,
    auth_version: auth,
    grpc_code: code,
    deadline_type: deadline,
    method_operation: method.operation,
    method_scope: method.scope === 'none' ? 'unknown' : method.scope,
  });
  recent.unshift({ name, callSite, auth, deadline, code, counter });
  if (recent.length > MAX_RECENT_CLIENTS) recent.pop();
  return counter;
}
