import type { ConfigPair } from '#git/command/config';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { PushRules } from '#tokens/push-rules';
import type { ServiceStreams } from '../git-service/service-streams.ts';
import type { PushUser } from '../hooks/payload.ts';
import type { Transaction } from '../transactions/transaction.ts';

/** A push to receive. */
export interface Push {
  readonly repository: Repository;
  /** Repository as the request names it; operators' scripts receive its GitLab names. */
  readonly target: RepositoryTarget;
  readonly user: PushUser;
  /** One request and one answer (HTTP) instead of a conversation (SSH). */
  readonly isStateless: boolean;
  /**
   * Protocol that the client requests; values other than `version=1` and `version=2` are ignored.
   */
  readonly gitProtocol: string;
  /** Settings of the request. */
  readonly config: readonly ConfigPair[];
  /** Transaction of the cluster; `undefined` without a cluster. */
  readonly transaction: Transaction | undefined;
  /** Opaque bytes that go to GitLab's internal API. */
  readonly clientContext: Buffer | undefined;
  /** Rules for the changes; `undefined` if the push came without a token that has rules. */
  readonly pushRules?: PushRules | undefined;
  readonly streams: ServiceStreams;
  readonly signal: AbortSignal;
  readonly correlationId: string;
  /** Receives log fields about git's processes; `undefined` if no one requests them. */
  readonly onTrace?: ((fields: Readonly<Record<string, unknown>>) => void) | undefined;
}
