import type { Repository } from '#storage/repository';
import type { PushRules } from '#tokens/push-rules';
import type { HookEnvironment } from './hook-environment.ts';
import type { HookOutput } from './hook-output.ts';
import type { HookFacts } from './payload.ts';

export interface HookCall {
  /** Repository of the change; `glRepository` is GitLab's name of it. */
  readonly repository: Repository;
  readonly payload: HookFacts;
  /** The objects of the change are in the repository already, although they may be new. */
  readonly isUnquarantined?: boolean | undefined;
  /** Variables that git gave the hook. */
  readonly environment: HookEnvironment;
  readonly pushOptions: readonly string[];
  /** Rules of the token that was used for the push. */
  readonly pushRules?: PushRules | undefined;
  readonly output: HookOutput;
  readonly signal: AbortSignal;
  readonly correlationId: string;
  /** Address of the user's computer, as the request gives it. */
  readonly remoteIp?: string | undefined;
}
