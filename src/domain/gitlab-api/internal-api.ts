/** What the caller of GitLab's internal API knows about the request that made it ask. */
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

/** What `/post_receive` is told. */
export interface FinishedPush {
  readonly glRepository: string;
  readonly glId: string;
  readonly changes: string;
  readonly pushOptions: readonly string[];
  readonly clientContext: Uint8Array | undefined;
}

/** Text that GitLab wants shown to the person who pushed. */
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
}

/**
 * GitLab's internal API as a Git server needs it. All calls throw an error whose message may be shown to the pushing user;
 * `RateLimitedError` (possibly as a cause) says that the API wants to be left alone for a while.
 */
export interface InternalApi {
  /** No GitLab behind it: every push is allowed and nobody is told. Hooks that would only ask it need not run. */
  readonly standAlone: boolean;
  allowed(check: AccessCheck, options: ApiCallOptions): Promise<AccessDecision>;
  /** Announces a push; `false` means that the push must not go on. */
  preReceive(glRepository: string, options: ApiCallOptions): Promise<boolean>;
  postReceive(push: FinishedPush, options: ApiCallOptions): Promise<PostReceiveAnswer>;
  check(options: ApiCallOptions): Promise<ApiCheck>;
}

/** The API answered 429. */
export class RateLimitedError extends Error {
  override readonly name: string = 'RateLimitedError';

  constructor() {
    super('rate limited');
  }
}

/** Whether an error, or anything that caused it, is a 429 of the API. */
export function isRateLimited(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current instanceof RateLimitedError) return true;
  }
  return false;
}
