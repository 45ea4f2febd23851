import { codeOf, GitalyError } from '#base/gitaly-error';
import type { RequestTarget } from '../named-targets.ts';
import type { CallStage, ServerCall, ServerInterceptor } from '../server-call.ts';

/** Notified of calls, to maintain the repositories that they change. Nothing may throw or wait. */
export interface MaintenanceScheduler {
  /** Reports whether maintenance runs in the repository now. */
  isRunning(target: RequestTarget): boolean | Promise<boolean>;
  afterWrite(target: RequestTarget, options: { readonly force: boolean }): void;
  onRead(target: RequestTarget): void;
}

/** Methods that rewrite the whole history. */
const REWRITES = new Set(['/gitaly.CleanupService/RewriteHistory']);
/** Methods after which there is nothing to maintain. */
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
  const read: CallStage = {
    request({ targets }) {
      if (targets?.repository !== undefined) scheduler.onRead(targets.repository);
    },
  };
  const maintenance: CallStage = {
    request({ targets }) {
      if (targets?.repository === undefined) return;
      const isRunning = scheduler.isRunning(targets.repository);
      if (typeof isRunning !== 'boolean') return isRunning.then(refuseSecond);
      refuseSecond(isRunning);
    },
  };
  return ({ method, peer }) => {
    if (method.scope !== 'repository' || peer.transport === 'internal') return undefined;
    switch (method.operation) {
      case 'accessor':
        return read;
      case 'maintenance':
        return maintenance;
      case 'mutator':
        return REMOVALS.has(method.path) ? undefined : changeStage(scheduler);
      case 'unknown':
        return undefined;
    }
  };
}

/** @throws when maintenance runs already. */
function refuseSecond(isRunning: boolean): void {
  if (isRunning) throw new GitalyError('ALREADY_EXISTS', 'housekeeping already executing for repository');
}

function changeStage(scheduler: MaintenanceScheduler): CallStage {
  // Not set when the request was refused before.
  let target: RequestTarget | undefined;
  return {
    request({ targets }) {
      target = targets?.repository;
    },
    end(call, failure) {
      if (target !== undefined && (failure === undefined || mayHaveChanged(call, failure)))
        scheduler.afterWrite(target, { force: REWRITES.has(call.method.path) });
    },
  };
}

function mayHaveChanged({ method }: ServerCall, error: unknown): boolean {
  return method.kind === 'unary' && !REFUSALS.has(codeOf(error) ?? 'UNKNOWN');
}
