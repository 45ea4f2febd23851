import type { DescService } from '@bufbuild/protobuf';
import type { HandlerContext, HandlersOf, ServiceImplementation } from '#rpc/server/handler';

/** Any of the handlers: the caller's types tell them apart. */
type Handler<D> = (request: unknown, context: HandlerContext, deps: D) => unknown;

/** Returns the handlers of a service, each with what it depends on. */
export function bindHandlers<S extends DescService, D>(
  deps: D,
  handlers: Partial<HandlersOf<S, D>>,
): ServiceImplementation<S> {
  const bound = Object.entries<Handler<D>>({ ...(handlers as object) }).map(([name, handler]) => {
    const call = (request: unknown, context: HandlerContext) => handler(request, context, deps);
    return [name, call] as const;
  });
  // Each has the name and the types of its method.
  return Object.fromEntries(bound) as ServiceImplementation<S>;
}
