import { flag, gitCommand } from '#git/command/git-command';
import { bundleUriSettings } from '../git-service/bundle-uri-settings.ts';
import { runLimited } from '../git-service/run-limited.ts';
import type { Fetch, FetchResult } from './fetch.ts';
import { Negotiation } from './negotiation.ts';
import { packGate } from './pack-gate.ts';

/** Packet after which the pack is made: the client requests nothing more. */
export const DONE: Buffer = Buffer.from('done\n');

/**
 * Serves a fetch, or its remainder, with `git upload-pack`. @param negotiation the client's packets
 * so far.
 */
export async function runGit(fetch: Fetch, negotiation = new Negotiation()): Promise<FetchResult> {
  const { repository, isStateless, gitProtocol, streams, negotiationTimeoutMs, signal } = fetch;
  const command = gitCommand('upload-pack', {
    options: isStateless ? [flag('--stateless-rpc')] : [],
    args: [repository.path],
  });
  const gate = packGate(fetch);
  const result = await runLimited(repository, command, {
    config: [...fetch.config, ...bundleUriSettings(fetch.bundles), ...(gate?.config ?? [])],
    pipes: gate,
    gitProtocol,
    streams,
    limit: negotiationTimeoutMs === undefined ? undefined : { timeoutMs: negotiationTimeoutMs, until: DONE },
    observe: (chunk) => negotiation.push(chunk),
    signal,
  });
  return { ...result, statistics: negotiation.statistics, isWellFormed: negotiation.isWellFormed };
}
