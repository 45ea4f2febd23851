import type { Duplex } from 'node:stream';
import type { GitCommand } from '#git/command/git-command';
import type { SpawnOptions } from '#git/command/spawn-options';
import type { Repository } from '#storage/repository';
import { type NegotiationLimit, watchNegotiation } from './negotiation-limit.ts';
import {
  type InputObserver,
  joinStreams,
  type ServiceRequest,
  type ServiceResult,
} from './service-streams.ts';
import { startBulkService, startService } from './start-service.ts';

export interface LimitedRun extends Pick<ServiceRequest, 'config' | 'gitProtocol' | 'signal' | 'streams'> {
  /** Without it there is no time limit. */
  readonly limit?: NegotiationLimit | undefined;
  /** Receives a copy of the client's bytes. */
  readonly observe?: InputObserver;
  /** Additional sockets of git, and who serves them until git has ended. */
  readonly pipes?:
    | { readonly extraPipes: number; serve(sockets: readonly Duplex[]): Promise<void> }
    | undefined;
}

export interface LimitedResult extends ServiceResult {
  /** git was ended because the client exceeded the time limit. */
  readonly isTooSlow: boolean;
}

/**
 * Runs a git command that communicates with a client, to its end. A failing git is not an error
 * here, because the callers handle it differently.
 *
 * @throws {GitStartError}; errors of the streams.
 */
export async function runLimited(
  repository: Repository,
  command: GitCommand,
  run: LimitedRun,
): Promise<LimitedResult> {
  const { config, gitProtocol, streams, limit, observe, pipes, signal } = run;
  const stderr = streams.stderr === undefined ? 'head' : 'pipe';
  const started = await start(
    repository,
    command,
    { config, gitProtocol, stderr, signal, extraPipes: pipes?.extraPipes ?? 0 },
    streams.isDirect === true,
  );
  await using process = started.process;
  using output = started.output;
  const served = pipes?.serve(process.extra);
  using watch = limit && watchNegotiation(limit, () => process.kill());
  try {
    const result = await joinStreams(process, streams, {
      output,
      observe(chunk) {
        watch?.push(chunk);
        observe?.(chunk);
      },
    });
    return { ...result, isTooSlow: watch?.isTooSlow ?? false };
  } finally {
    for (const socket of process.extra) socket.destroy();
    await served;
  }
}

async function start(
  repository: Repository,
  command: GitCommand,
  options: SpawnOptions,
  isBulk: boolean,
): ReturnType<typeof startBulkService> {
  if (isBulk) return await startBulkService(repository, command, options);
  return { process: await startService(repository, command, options), output: undefined };
}
