import type { Exceptions } from '#calls/exceptions';
import { explainCall } from '#calls/explain';
import type { GitCalls } from '#calls/git-calls';
import type { ServerMetrics } from '#calls/metrics';
import { rememberCall } from '#calls/running-call';
import type { RunningCalls } from '#calls/running-calls';
import type { Tracing } from '#calls/tracing/tracing';
import { refusedSubcommand } from '#git/command/git-command';
import type { GitalyConfig } from '#platform/config/load-config';
import { RequestFlags } from '#platform/flags/feature-flags';
import { accessLogFilter } from '#platform/log/access-log';
import type { Logger } from '#platform/log/logger';
import type { GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { interceptorChain } from '#rpc/server/chain';
import { Arrivals } from '#rpc/server/connection/arrivals';
import type { Backchannels } from '#rpc/server/connection/backchannels';
import type { ConnectionProblems } from '#rpc/server/connection/connection-problems';
import { demultiplex } from '#rpc/server/connection/demultiplexer';
import type { ListenerOptions } from '#rpc/server/connection/listener';
import { openCallSidechannel } from '#rpc/server/connection/open-sidechannel';
import type { FaultInjector } from '#rpc/server/fault-injector';
import { GrpcServer, type GrpcServerOptions } from '#rpc/server/grpc-server';
import type { ServedService } from '#rpc/server/handler';
import type { AuthenticationOptions } from '#rpc/server/interceptors/authentication';
import { countCalls } from '#rpc/server/interceptors/call-metrics';
import type { ErrorReports } from '#rpc/server/interceptors/error-reports';
import type { MethodLimits } from '#rpc/server/interceptors/limit-concurrency';
import type { MaintenanceScheduler } from '#rpc/server/interceptors/schedule-maintenance';
import type { ServerCall, ServerInterceptor } from '#rpc/server/server-call';
import type { Storages } from '#storage/storages';
import { cacheMarks } from './cache-marks.ts';

export interface RpcServerParts {
  readonly config: GitalyConfig;
  readonly logger: Logger;
  readonly metrics: ServerMetrics;
  readonly services: readonly ServedService[];
  readonly storages: Storages;
  readonly trustsUnixSockets: boolean;
  readonly tracing: Tracing | undefined;
  readonly reports: ErrorReports | undefined;
  readonly calls: RunningCalls;
  readonly gitCalls: GitCalls;
  readonly faults: FaultInjector | undefined;
  readonly limits: ReadonlyMap<string, MethodLimits>;
  /** Called when a call begins to wait for a limit. @returns what to call when it no longer waits. */
  readonly onWait: (call: ServerCall, configKey: string) => () => void;
  readonly maintenance: MaintenanceScheduler | undefined;
  readonly exceptions: Exceptions;
  readonly backchannels: Backchannels<GrpcChannel>;
  readonly problems: ConnectionProblems;
}

/** Servers for calls from outside, and for those of our own hooks. Disposing aborts all calls. */
export interface RpcServers extends AsyncDisposable {
  readonly external: GrpcServer;
  /** Connections from outside that no server has yet. */
  readonly arrivals: Arrivals;
  /** Settings of the listeners whose connections these servers serve. */
  readonly accepting: ListenerOptions;
}

/** Creates the servers with the interceptors of `interceptorChain`. */
export function createRpcServers(parts: RpcServerParts): RpcServers {
  const { metrics, services, faults, backchannels, problems } = parts;
  const options: GrpcServerOptions = {
    onConnectionError: problems.onConnectionError,
    services,
    interceptors: interceptors(parts),
    contextExtras: {
      flags: (headers) =>
        new RequestFlags(headers, {
          onChecked: (name, enabled) => metrics.callers.featureFlagCheck(name, enabled).inc(),
        }),
      openSidechannel: (headers, peer, signal) =>
        openCallSidechannel(headers, peer, { sessions: backchannels, signal }),
    },
  };
  const [external, internal] = [new GrpcServer(options), new GrpcServer(options)];
  const arrivals = new Arrivals();
  const accepting: ListenerOptions = {
    onAccept: (transport) => transport !== 'internal' && metrics.callers.connection(transport).inc(),
    onAcceptError: problems.onAcceptError,
    onConnection: (connection, peer) =>
      void demultiplex(connection, peer, {
        backchannels,
        ...(peer.transport !== 'internal' && { arrivals }),
        onTransfer: (direction, bytes) => metrics.transfers[direction].observe(bytes),
        onGrpc: (duplex, from) => {
          faults?.onConnection(duplex, from);
          (peer.transport === 'internal' ? internal : external).serveConnection(duplex, from);
        },
      }),
  };
  return {
    external,
    arrivals,
    accepting,
    async [Symbol.asyncDispose]() {
      await external.shutdown({ graceMs: 0 });
      await internal.shutdown({ graceMs: 0 });
    },
  };
}

function interceptors(parts: RpcServerParts): readonly ServerInterceptor[] {
  const { config, logger, metrics, storages, trustsUnixSockets, tracing, reports } = parts;
  const { calls, faults, limits, onWait, maintenance, exceptions } = parts;
  return interceptorChain({
    metrics: countCalls({
      methodMetrics: metrics.ofMethod,
      clientRequest: metrics.callers.clientRequest,
      onFailure: invalidCommandCount(metrics),
    }),
    trace: tracing?.interceptor,
    reportErrors: reports?.interceptor,
    listCalls: calls.interceptor,
    rememberCall,
    accessLog: { logger, isLogged: accessLogFilter(process.env) },
    authentication: {
      token: config.auth.token,
      transitioning: config.auth.transitioning,
      trustsUnixSockets,
      ...authenticationCounts(metrics),
    },
    explain: config.git.explain ? explainCall : undefined,
    injectFaults: faults?.interceptor,
    limits: {
      limits,
      metrics: metrics.limits,
      onWait,
    },
    cacheInvalidation: {
      beginChange: cacheMarks(storages, logger, metrics.caches.markFailed),
      onCall: metrics.caches.call,
    },
    maintenance,
    exceptions,
    changeOfRepository: (target, sinceMs, call) => storages.changeSince(target, sinceMs, call),
  });
}

function authenticationCounts({
  callers,
}: ServerMetrics): Pick<AuthenticationOptions, 'onChecked' | 'onTokenError'> {
  return {
    onChecked: (enforced, status) => callers.authentication(enforced, status).inc(),
    onTokenError: (reason) => callers.authenticationError(reason).inc(),
  };
}

/** Counts calls whose words would have been options of git. */
function invalidCommandCount({ countInvalidCommand }: ServerMetrics): (failure: unknown) => void {
  return (failure) => {
    const command = refusedSubcommand(failure);
    if (command !== undefined) countInvalidCommand(command);
  };
}
