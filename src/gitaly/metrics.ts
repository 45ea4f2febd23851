import type { ProcessObserver } from '#git/command/start-process';
import type { GitalyConfig } from '#platform/config/load-config';
import type { Peer } from '#rpc/server/handler';
import type { AuthenticationOptions } from '#rpc/server/interceptors/authentication';
import type { ServerInterceptor } from '#rpc/server/server-call';

/** What the rooms of a server report, connected to the metrics. */
export interface ServerMetrics {
  readonly countCalls: ServerInterceptor;
  readonly authentication: Pick<AuthenticationOptions, 'onChecked' | 'onTokenError'>;
  readonly observeCommand: ProcessObserver;
  countConnection(transport: Peer['transport']): void;
  countFlagCheck(name: string, enabled: boolean): void;
  setBuildInfo(gitVersion: string): void;
}

export function createMetrics(_config: GitalyConfig): ServerMetrics {
  return {
    countCalls: (_call, next) => next(),
    authentication: { onChecked() {}, onTokenError() {} },
    observeCommand: () => undefined,
    countConnection() {},
    countFlagCheck() {},
    setBuildInfo() {},
  };
}
