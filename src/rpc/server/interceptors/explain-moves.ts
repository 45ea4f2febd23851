import { codeOf, GitalyError, messageOf } from '#base/gitaly-error';
import type { RequestTarget } from '../named-targets.ts';
import type { CallStage, ServerCall, ServerInterceptor } from '../server-call.ts';

/**
 * Returns what happened to a repository since `sinceMs` (`performance.now()`): nothing is there any
 * more, or another one is; `undefined` if the calls since then found the same repository, or if the
 * call itself has moved it.
 */
export type ChangeOfRepository = (
  target: RequestTarget,
  sinceMs: number,
  call: ServerCall,
) => 'removed' | 'replaced' | undefined;

const ENDINGS = {
  removed: ['NOT_FOUND', 'repository not found'],
  replaced: ['ABORTED', 'repository was moved, removed or created during the call'],
} as const;

/** Codes of errors about a file that is missing, or incomplete. */
const UNEXPLAINED: ReadonlySet<string> = new Set(['INTERNAL', 'DATA_LOSS']);

/**
 * Returns the interceptor that explains errors of calls whose repository was removed or replaced
 * meanwhile. The error of such a call has no clear reason: it is about whichever file the call
 * missed first. It is kept for the log.
 */
export function explainMoves(changeOf: ChangeOfRepository): ServerInterceptor {
  const stage: CallStage = {
    end(call, failure) {
      const { startedAtMs, targets } = call;
      if (failure === undefined || !UNEXPLAINED.has(codeOf(failure) ?? 'INTERNAL')) return;
      for (const target of [targets?.repository, targets?.pool]) {
        const change = target && changeOf(target, startedAtMs, call);
        if (change === undefined) continue;
        const [code, message] = ENDINGS[change];
        throw new GitalyError(code, message, {
          cause: failure,
          metadata: {
            ...(failure instanceof GitalyError && failure.metadata),
            original_error: messageOf(failure),
          },
        });
      }
    },
  };
  return () => stage;
}
