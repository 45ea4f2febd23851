import { AsyncLocalStorage } from 'node:async_hooks';
import type { GitCommit } from '#wire/gen/shared_pb';
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
  /** The application's stack frames of the call. */
  readonly backtrace: readonly string[];
}

/** Counters of one web request or job. */
export interface RequestStore {
  readonly sessionId: string;
  /** End of the request, which limits its calls; `undefined` for jobs. */
  readonly deadline: Date | undefined;
  readonly context: RequestContext;
  actualCalls: number;
  permittedCalls: number;
  /** False to count the calls without a limit. */
  readonly isLimited: boolean;
  /** Number of calls by call stack; `undefined` before the first. */
  stacks: Map<string, number> | undefined;
  queryMs: number;
  /**
   * Commits that were found, by storage, path and id, see `cachedCommit`; `undefined` before the
   * first.
   */
  commits: Map<string, GitCommit | undefined> | undefined;
  /** `undefined` while the performance bar is off. */
  readonly details: CallDetail[] | undefined;
}

/** Identity of the request, sent with every call. */
export interface RequestContext {
  readonly username?: string;
  readonly userId?: string;
  readonly glUserId?: string;
  readonly remoteIp?: string;
  /** Client context for all calls of the request. */
  readonly clientContext?: ClientContext;
  /** In hook callbacks: the path of the repository of which the server has a snapshot. */
  readonly relativePath?: string;
  /** In hook callbacks: objects are in quarantine, so that only the primary has them. */
  readonly isQuarantined?: boolean;
}

const stores = new AsyncLocalStorage<RequestStore>();
/** The request whose limit does not apply. Other work of the request may run at the same time. */
const unlimited = new AsyncLocalStorage<RequestStore>();

/** Runs `work` with its own store. */
export function withStore<T>(store: RequestStore, work: () => T): T {
  return stores.run(store, work);
}

/**
 * Returns the store of the current request; `undefined` outside a request, where nothing is
 * counted.
 */
export function currentStore(): RequestStore | undefined {
  return stores.getStore();
}

/** Runs `work`, in which the limit of the current request does not apply. */
export function withoutLimit<T>(work: () => T): T {
  const store = currentStore();
  return store === undefined ? work() : unlimited.run(store, work);
}

/** Reports whether the limit of the request applies here. */
export function isLimited(store: RequestStore): boolean {
  return store.isLimited && unlimited.getStore() !== store;
}
