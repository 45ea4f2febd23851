import { AsyncLocalStorage } from 'node:async_hooks';
import type { ClientContext } from './client-context.ts';

/** One call, for the performance bar. */
export interface CallDetail {
  /** `performance.now()` at its start, in milliseconds. */
  readonly startMs: number;
  readonly durationMs: number;
  /** `commit_service#find_commit` */
  readonly feature: string;
  readonly rpc: string;
  /** The request; empty for streams of requests. */
  readonly request: unknown;
  /** Frames of the application that made the call. */
  readonly backtrace: readonly string[];
}

/** What is counted while one web request, or one job, is served. */
export interface RequestStore {
  readonly sessionId: string;
  /** Ends calls at the request's own end; `undefined` for jobs. */
  readonly deadline: Date | undefined;
  readonly context: RequestContext;
  actualCalls: number;
  permittedCalls: number;
  /** How deep in `allowNPlus1Calls`. */
  allowDepth: number;
  /** Call stack → calls from it. */
  readonly stacks: Map<string, number>;
  queryMs: number;
  /** `undefined` while the performance bar is off. */
  readonly details: CallDetail[] | undefined;
}

/** Who the request is for; sent along with every call. */
export interface RequestContext {
  readonly username?: string;
  readonly userId?: string;
  readonly glUserId?: string;
  readonly remoteIp?: string;
  /** For all calls of the request. */
  readonly clientContext?: ClientContext;
  /** Inside of hook callbacks: the path of the repository that the server has a snapshot of. */
  readonly relativePath?: string;
  /** Inside of hook callbacks: objects are in quarantine, so that only the primary has them. */
  readonly isQuarantined?: boolean;
}

const stores = new AsyncLocalStorage<RequestStore>();

/** Runs `work` with a store of its own. */
export function withStore<T>(store: RequestStore, work: () => T): T {
  return stores.run(store, work);
}

/** The store of the request that is being served; `undefined` outside of any, where nothing is counted. */
export function currentStore(): RequestStore | undefined {
  return stores.getStore();
}
