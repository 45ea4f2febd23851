import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { flag, gitCommand, value } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import type { Repository } from '#storage/repository';

/** The keys of `[offloading]` that determine the response. */
export interface OffloadingSettings {
  readonly enabled: boolean;
  readonly goCloudUrl: string | undefined;
}

/** Location of the objects of an offloaded repository. */
const KEY = 'remote.offload.url';
/** Offloading needs the write-ahead log, which this server does not have. */
const NO_LOG = 'unable to retrieve storage node';
const PATH = /^[a-z][a-z0-9+.-]*:(?:\/\/[^/?#]*)?([^?#]*)/i;

/** Answers that Gitaly without a write-ahead log gives to the strategy "offloading". */
export function refuseOffloading({ enabled, goCloudUrl = '' }: OffloadingSettings): never {
  if (!enabled) throw new GitalyError('UNIMPLEMENTED', 'offloading feature not enabled');
  requireSink(goCloudUrl);
  throw new GitalyError('INTERNAL', NO_LOG);
}

/** Answers that Gitaly without a write-ahead log gives to the strategy "rehydration". */
export async function refuseRehydration(
  repository: Repository,
  { goCloudUrl = '' }: OffloadingSettings,
  signal: AbortSignal,
): Promise<never> {
  requireSink(goCloudUrl);
  const urls = await offloadUrls(repository, signal);
  const [url] = urls;
  if (url === undefined) throw new GitalyError('FAILED_PRECONDITION', 'repository is not offloaded');
  if (urls.length > 1 || url === '') {
    const reason = 'offload URL must be a single non-empty string';
    throw new GitalyError('FAILED_PRECONDITION', `invalid offloaded repository state: ${reason}`);
  }
  if (objectPrefix(url, goCloudUrl) === undefined) throw invalidArgument('extract object prefix from URLs');
  throw new GitalyError('INTERNAL', NO_LOG);
}

function requireSink(url: string): void {
  if (url === '') throw invalidArgument('offloading configuration missing sink URL');
}

/** The path of a repository's URL below that of the sink. */
function objectPrefix(url: string, sink: string): string | undefined {
  const path = PATH.exec(url)?.[1] ?? url;
  const parent = `${PATH.exec(sink)?.[1] ?? ''}/`;
  const prefix = path.startsWith(parent) ? path.slice(parent.length).trim() : '';
  return prefix === '' ? undefined : prefix;
}

async function offloadUrls(repository: Repository, signal: AbortSignal): Promise<string[]> {
  const command = gitCommand('config', {
    options: [value('--file', `${repository.path}/config`), flag('--get-all')],
    args: [KEY],
  });
  try {
    const output = (await repository.run(command, { signal })).toString();
    return output
      .replace(/\n$/, '')
      .split('\n')
      .map((line) => line.trim());
  } catch (error) {
    if (error instanceof GitExitError && error.exitCode === 1) return [];
    throw error;
  }
}
