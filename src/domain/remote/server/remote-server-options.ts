import type { CallOptions } from '#client/call/call-types';
import type { Connection } from '#client/connection';
import type { SidechannelRegistry } from '#client/sidechannel-registry';
import type { RepositoryTarget } from '#storage/repository-target';

/** A repository on another server, and the connection on which it is called. */
export interface RemoteServerOptions {
  readonly connection: Connection;
  readonly registry: SidechannelRegistry;
  readonly target: RepositoryTarget;
  readonly correlationId: string;
  /** Feature flags of the original call, by name. */
  readonly featureFlags?: Readonly<Record<string, boolean>>;
  readonly signal: AbortSignal;
}

/** Returns the Repository message that names the target in requests. */
export function repositoryMessage(target: RepositoryTarget) {
  return { ...target, gitAlternateObjectDirectories: [...(target.gitAlternateObjectDirectories ?? [])] };
}

/** Returns the options of each call for the original one. */
export function callOptions({ signal, correlationId, featureFlags }: RemoteServerOptions): CallOptions {
  return { signal, correlationId, ...(featureFlags && { featureFlags }) };
}
