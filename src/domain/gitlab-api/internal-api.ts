import { isError } from '#base/is-error';

/** Facts about the request that causes a call of GitLab's internal API. */
export interface ApiCallOptions {
  readonly signal: AbortSignal;
  /** Sent as `X-Request-ID`. */
  readonly correlationId: string;
  /** Address of the pushing client, sent as `X-Forwarded-For`. */
  readonly remoteIp?: string | undefined;
}

/** The question of `/allowed`: may this user make these changes? */
export interface AccessCheck {
  readonly glRepository: string;
  /** Absolute path of the repository; the API gets it without single quotes. */
  readonly repositoryPath: string;
  readonly relativePath: string;
  /** Quarantine, relative to the repository; empty and absent when there is none. */
  readonly objectDirectory: string;
  readonly alternateObjectDirectories: readonly string[] | undefined;
  /** `user-1`, `key-2` or `username-x`. */
  readonly glId: string;
  /** `ssh`, `http` or `web`. */
  readonly protocol: string;
  /** Lines `<old> <new> <ref>\n`. */
  readonly changes: string;
  readonly pushOptions: readonly string[];
  /** Opaque bytes that the caller of the push sent along. */
  readonly clientContext: Uint8Array | undefined;
}

export interface AccessDecision {
  readonly allowed: boolean;
  readonly message: string;
}

/** Contents of a `/post_receive` request. */
export type FinishedPush = Pick<
  AccessCheck,
  'glRepository' | 'glId' | 'changes' | 'pushOptions' | 'clientContext'
>;

/** Text from GitLab to show to the pushing user. */
export interface PostReceiveMessage {
  readonly message: string;
  /** `basic` or `alert`; anything else is refused when printing. */
  readonly type: string;
}

export interface PostReceiveAnswer {
  readonly referenceCounterDecreased: boolean;
  readonly messages: readonly PostReceiveMessage[];
}

/** The answer of `/check`. */
export interface ApiCheck {
  readonly gitlabVersion: string;
  readonly gitlabRevision: string;
  readonly apiVersion: string;
  readonly redis: boolean;
  /** Time of GitLab's clock when it answered, in whole seconds. */
  readonly date?: Date | undefined;
}

/** A repository that borrows objects from a pool. */
export interface ObjectPoolMember {
  /** Path in the storage. */
  readonly relativePath: string;
  readonly isPublic: boolean;
}

/** The pools whose upstream members are requested. */
export interface ObjectPoolQuery {
  readonly storageName: string;
  /** Paths in the storage without `.git`, at most 500. */
  readonly poolPaths: readonly string[];
}

/**
 * GitLab's internal API as a Git server needs it. All calls throw an error whose message may be
 * shown to the pushing user; `RateLimitedError` (possibly as a cause) if the API is rate-limited
 * for a while.
 */
export interface InternalApi {
  /**
   * True without a GitLab: every push is allowed and nothing is reported. Hooks that only call
   * GitLab are not needed.
   */
  readonly standAlone: boolean;
  allowed(check: AccessCheck, options: ApiCallOptions): Promise<AccessDecision>;
  /** Announces a push; `false` means that the push must not go on. */
  preReceive(glRepository: string, options: ApiCallOptions): Promise<boolean>;
  postReceive(push: FinishedPush, options: ApiCallOptions): Promise<PostReceiveAnswer>;
  check(options: ApiCallOptions): Promise<ApiCheck>;
  /** Returns the upstream members of pools by the pool's path. GitLab omits unknown pools. */
  upstreamPoolMembers(
    query: ObjectPoolQuery,
    options: ApiCallOptions,
  ): Promise<ReadonlyMap<string, readonly ObjectPoolMember[]>>;
}

/** The API answered 429. */
export class RateLimitedError extends Error {
  override readonly name: string = 'RateLimitedError';

  constructor() {
    super('rate limited');
  }
}

/** Reports whether an error, or an error that caused it, is a 429 of the API. */
export function isRateLimited(error: unknown): boolean {
  for (let current = error; isError(current); current = current.cause) {
    if (current instanceof RateLimitedError) return true;
  }
  return false;
}
