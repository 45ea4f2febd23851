import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { checkNames, type NamesOf } from '#base/check-names';
import type { Interceptor, Invocation } from '../call/call-types.ts';
import { tokenCredentials } from '../call/token-credentials.ts';
import { wrapResponses } from '../call/wrap-responses.ts';
import type { Connection } from '../connection.ts';
import { DIAL_NAMES, type DialOptions } from '../dial-options.ts';
import { Pool } from '../pool.ts';
import { applicationFrames, countCall } from './call-limit.ts';
import type { CallScope } from './call-scope.ts';
import { CallWatch, type CircuitNotes } from './call-watch.ts';
import { CircuitBreakers } from './circuit-breakers.ts';
import { type ClientContext, withClientContext } from './client-context.ts';
import { withRefNameCaching } from './commit-cache.ts';
import { currentActors, type FeatureFlags, type FlagActors, withFeatureFlagActors } from './feature-flags.ts';
import { requestMetadata } from './request-metadata.ts';
import {
  type CallDetail,
  currentStore,
  isLimited,
  type RequestContext,
  type RequestStore,
  withoutLimit,
  withStore,
} from './request-store.ts';
import { type StoragesConfig, storageTarget } from './storages.ts';
import { endOfCall, type Timeouts, timeoutSeconds } from './timeouts.ts';

export interface GitalyClientConfig extends StoragesConfig {
  /** `gitlab-web` (default) or `gitlab-sidekiq`, whose calls may take longer. */
  readonly clientName?: string;
  readonly timeouts?: Partial<Timeouts>;
  /**
   * Returns the persisted flags for the actors of the call; a flag is on if it is on for any of
   * them.
   */
  readonly featureFlags?: (actors: FlagActors) => FeatureFlags;
  /**
   * In production the limit of calls is enforced only with the flag
   * `gitaly_enforce_requests_limits`. Default: from NODE_ENV.
   */
  readonly isProduction?: boolean;
  /** Reports whether calls of a request are recorded for its performance bar. */
  readonly keepsCallDetails?: () => boolean;
  /**
   * Reports whether calls without a `username` use circuit breakers; called for each call. Default:
   * they do not.
   */
  readonly breaksCircuits?: () => boolean;
  readonly dialOptions?: DialOptions;
}

/** Data about a request or job. */
export interface RequestOptions {
  readonly context?: RequestContext;
  /** End of the request, which limits its calls. */
  readonly deadline?: Date;
  /** Records the calls of this request, regardless of the configuration. */
  readonly keepsCallDetails?: boolean;
  /** False to count the calls without a limit. Default: true. */
  readonly isLimited?: boolean;
}

const TIMEOUT_NAMES: NamesOf<Timeouts> = { default: true, fast: true, medium: true, long: true };
const NAMES: NamesOf<GitalyClientConfig> = {
  storages: true,
  token: true,
  clientName: true,
  timeouts: TIMEOUT_NAMES,
  featureFlags: true,
  isProduction: true,
  keepsCallDetails: true,
  breaksCircuits: true,
  dialOptions: DIAL_NAMES,
};

const DEFAULT_CLIENT_NAME = 'gitlab-web';
const NO_FRAMES: readonly string[] = [];
const NO_SETTINGS: CallScope = {};

interface Scope {
  readonly settings: CallScope;
  readonly storage: string;
  readonly address: string;
  readonly frames: readonly string[];
  /** True if the limit of calls is enforced; undefined outside of a request. */
  readonly isEnforced: boolean | undefined;
}

/**
 * A Gitaly client for a Rails-like application: storages have names, and the calls of each request
 * are counted, so that a loop of calls fails in development instead of overloading production.
 */
export class GitalyClient implements AsyncDisposable {
  readonly #config: GitalyClientConfig;
  readonly #timeouts: Required<Timeouts>;
  readonly #pool: Pool;
  readonly #scopes = new AsyncLocalStorage<Scope>();
  readonly #circuits = new CircuitBreakers();

  constructor(config: GitalyClientConfig) {
    checkNames('GitalyClient', config, NAMES);
    const { clientName = DEFAULT_CLIENT_NAME } = config;
    const { interceptors = [], ...options } = config.dialOptions ?? {};
    this.#config = config;
    this.#timeouts = timeoutSeconds(clientName, config.timeouts);
    this.#pool = new Pool({
      dialOptions: {
        retry: { codes: ['UNAVAILABLE', 'ABORTED'], methods: ['/grpc.health.v1.Health/Check'] },
        clientName,
        credentials: tokenCredentials(''), // signed even without a token
        ...options,
        interceptors: [this.#intercept, ...interceptors],
      },
    });
  }

  /**
   * Runs a request or a job: calls in `work` are counted together, have its `context`, and end at
   * `deadline`.
   */
  run<T>(work: () => T, options: RequestOptions = {}): T {
    const store: RequestStore = {
      sessionId: randomUUID(),
      deadline: options.deadline,
      context: options.context ?? {},
      actualCalls: 0,
      permittedCalls: 0,
      isLimited: options.isLimited ?? true,
      stacks: undefined,
      commits: undefined,
      queryMs: 0,
      details: (options.keepsCallDetails ?? this.#config.keepsCallDetails?.()) ? [] : undefined,
    };
    return withStore(store, work);
  }

  /**
   * Calls a storage: `call('default', (gitaly) => gitaly.commit.findCommit(request), { timeout:
   * 'fast' })`. Unread streams that `work` returns count as well, and must be read inside it.
   *
   * @throws {TooManyInvocationsError} before the 31st call of a request; {CallError} with
   *   `gitalyErrorMetadata`; {GitalyError} for a storage that is not configured, and
   *   RESOURCE_EXHAUSTED `Gitaly service temporarily unavailable. Circuit is open`.
   */
  async call<T>(
    storage: string,
    work: (gitaly: Connection) => Promise<T>,
    scope: CallScope = NO_SETTINGS,
  ): Promise<T> {
    const { address, token } = storageTarget(this.#config, storage);
    const store = currentStore();
    const isEnforced = store && this.#isEnforced();
    const frames = needsFrames(store, isEnforced) ? applicationFrames() : NO_FRAMES;
    const connection = this.#pool.dialed(address, token) ?? (await this.#pool.dial(address, token));
    return await this.#scopes.run(
      { settings: scope, storage, address, frames, isEnforced },
      work,
      connection,
    );
  }

  /** Returns the address of a storage. @throws {GitalyError} for one that is not configured. */
  addressOf(storage: string): string {
    return storageTarget(this.#config, storage).address;
  }

  /**
   * Runs `work`, whose calls are counted but not limited. Use it for known loops that have an
   * issue.
   */
  async allowNPlus1Calls<T>(work: () => T | Promise<T>): Promise<T> {
    return await withoutLimit(work);
  }

  /**
   * Runs `work`, in which `CommitService.findCommit` makes one call for each name of a reference.
   * Use it where nothing changes references.
   */
  allowRefNameCaching<T>(work: () => T): T {
    return withRefNameCaching(work);
  }

  /** Returns the number of calls of this request so far. */
  getRequestCount(): number {
    return currentStore()?.actualCalls ?? 0;
  }

  /** Resets the counters; the stacks are kept. */
  resetCounts(): void {
    const store = currentStore();
    if (store === undefined) return;
    store.actualCalls = 0;
    store.permittedCalls = 0;
  }

  /** Returns the seconds for which this request has waited for Gitaly, to the microsecond. */
  queryTime(): number {
    return Number(((currentStore()?.queryMs ?? 0) / 1000).toFixed(6));
  }

  /** Returns the calls of this request; empty while the performance bar is off. */
  callDetails(): readonly CallDetail[] {
    return currentStore()?.details ?? [];
  }

  /** Runs `work` with the flags of these actors for its calls. */
  withFeatureFlagActors<T>(actors: FlagActors, work: () => T): T {
    return withFeatureFlagActors(actors, work);
  }

  /**
   * Runs `work`, whose calls have these entries as client context, in addition to those of the
   * request and of surrounding calls of this function.
   */
  withContext<T>(context: ClientContext, work: () => T): T {
    return withClientContext(context, work);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool.close();
  }

  readonly #intercept: Interceptor = (invocation, next) => {
    const store = currentStore();
    const scope = this.#scopes.getStore();
    const circuit = this.#circuitOf(invocation, store, scope);
    if (circuit !== undefined) this.#circuits.check(circuit);
    if (store !== undefined) {
      const isEnforced = scope?.isEnforced ?? this.#isEnforced();
      countCall(store, { isEnforced, frames: scope?.frames ?? NO_FRAMES });
    }

    const watched = { store, scope, startMs: performance.now(), circuit: this.#notesOf(circuit) };
    return wrapResponses(
      next(this.#prepared(invocation, store, scope)),
      (responses) => new CallWatch(responses, invocation, watched),
    );
  };

  #notesOf(circuit: string | undefined): CircuitNotes | undefined {
    if (circuit === undefined) return undefined;
    return {
      noteAnswer: () => this.#circuits.noteAnswer(circuit),
      noteRefusal: () => this.#circuits.noteRefusal(circuit),
    };
  }

  /**
   * Returns the circuit of a call. Calls with a known user have none: they are made as long as
   * Gitaly serves them.
   */
  #circuitOf(
    { method }: Invocation,
    store: RequestStore | undefined,
    scope: Scope | undefined,
  ): string | undefined {
    if (this.#config.breaksCircuits?.() !== true || store?.context.username) return undefined;
    return `${scope?.storage ?? ''} ${method.path}`;
  }

  #prepared(invocation: Invocation, store: RequestStore | undefined, scope: Scope | undefined): Invocation {
    const { timeout = 'default', remoteStorage } = scope?.settings ?? NO_SETTINGS;
    const seconds = typeof timeout === 'number' ? timeout : this.#timeouts[timeout];
    const end = endOfCall(seconds, store?.deadline);
    const remote =
      remoteStorage === undefined
        ? undefined
        : ([remoteStorage, storageTarget(this.#config, remoteStorage)] as const);
    const metadata = requestMetadata({
      store,
      end,
      scope: scope?.settings,
      remote,
      flags: this.#config.featureFlags,
    });
    const { options } = invocation;
    if (options.metadata !== undefined) metadata.assign(options.metadata);
    const { deadline } = end;
    const limited = deadline === undefined ? { ...options, metadata } : { deadline, ...options, metadata };
    return { ...invocation, options: limited };
  }

  /** Reports whether the limit is enforced. An empty value of the variable counts as set. */
  #isEnforced(): boolean {
    if (process.env.GITALY_DISABLE_REQUEST_LIMITS !== undefined) return false;
    const { isProduction = process.env.NODE_ENV === 'production', featureFlags } = this.#config;
    return !isProduction || featureFlags?.(currentActors()).gitaly_enforce_requests_limits === true;
  }
}

/** Reports whether the call site is needed: reading a stack costs as much as the call. */
function needsFrames(store: RequestStore | undefined, isEnforced: boolean | undefined): boolean {
  if (store === undefined) return false;
  return store.details !== undefined || (isEnforced === true && isLimited(store));
}
