import { codeOf, GitalyError } from '#base/gitaly-error';
import type { ServerCall, ServerInterceptor } from '../server-call.ts';
import { type RequestTarget, requestTarget } from './request-target.ts';

/** Notified of calls, to maintain the repositories that they change. Nothing may throw or wait. */
export interface MaintenanceScheduler {
  /** Reports whether maintenance runs in the repository now. */
  isRunning(target: RequestTarget): boolean;
  afterWrite(target: RequestTarget, options: { readonly force: boolean }): void;
  onRead(target: RequestTarget): void;
}

/** After these the whole history is another. */
const REWRITES = new Set(['/gitaly.CleanupService/RewriteHistory']);
/** After these there is nothing to maintain. */
const REMOVALS = new Set([
  '/gitaly.RepositoryService/RemoveRepository',
  '/gitaly.ObjectPoolService/DeleteObjectPool',
]);
/** Codes of unary calls that changed nothing. */
const REFUSALS = new Set(['FAILED_PRECONDITION', 'RESOURCE_EXHAUSTED', 'PERMISSION_DENIED']);

/**
 * Returns the interceptor that counts changes by clients, as Gitaly 19.0 does, and refuses a second
 * maintenance of a repository. Calls of hooks belong to a change that is counted itself.
 */
export function scheduleMaintenance(scheduler: MaintenanceScheduler): ServerInterceptor {
  return async (call, next) => {
    const { operation, scope } = call.method;
    if (scope !== 'repository' || call.peer.transport === 'internal') return next();
    let target: RequestTarget | undefined;
    call.onRequest((message, index) => {
      if (index !== 0) return;
      target = requestTarget(call, message);
      if (target === undefined) return;
      if (operation === 'accessor') scheduler.onRead(target);
      if (operation === 'maintenance' && scheduler.isRunning(target))
        throw new GitalyError('ALREADY_EXISTS', 'housekeeping already executing for repository');
    });
    if (operation !== 'mutator' || REMOVALS.has(call.method.path)) return next();

    const finished = (isCounted: boolean): void => {
      if (isCounted && target !== undefined)
        scheduler.afterWrite(target, { force: REWRITES.has(call.method.path) });
    };
    try {
      await next();
    } catch (error) {
      finished(mayHaveChanged(call, error));
      throw error;
    }
    finished(true);
  };
}

function mayHaveChanged({ method }: ServerCall, error: unknown): boolean {
  return method.kind === 'unary' && !REFUSALS.has(codeOf(error) ?? 'UNKNOWN');
}
