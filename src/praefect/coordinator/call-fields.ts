import type { LogFields } from '#platform/log/field-list';
import type { HandlerContext } from '#rpc/server/handler';
import { addMethodFacts, collectFacts } from '#rpc/server/interceptors/caller-facts';
import type { MethodInfo } from '#wire/method-info';
import { servedKind } from '../proxy/served-kind.ts';

/** Fields that are the same for all calls of a method. */
const ofMethods = new Map<MethodInfo, LogFields>();

/**
 * Returns the fields by which lines about a call are found together, as in its access line: its
 * correlation id and its method.
 *
 * @param component the access log that has the call's own line.
 */
export function callFields(
  { correlationId, method }: Pick<HandlerContext, 'correlationId' | 'method'>,
  component: string,
): LogFields {
  let fields = ofMethods.get(method);
  if (fields === undefined) {
    fields = {
      system: 'grpc',
      'span.kind': 'server',
      'grpc.service': method.service,
      'grpc.method': method.name,
      ...collectFacts((facts) => addMethodFacts(facts, method, servedKind(method))),
    };
    ofMethods.set(method, fields);
  }
  return { component, ...fields, correlation_id: correlationId };
}

/** Returns the fields of lines about a proxied call: all of these are logged as streams. */
export function proxiedCallFields(context: HandlerContext): LogFields {
  return callFields(context, 'praefect.StreamServerInterceptor');
}
