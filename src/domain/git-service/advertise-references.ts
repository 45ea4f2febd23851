import { wrap } from '#base/gitaly-error';
import type { ConfigPair } from '#git/command/config';
import { flag, gitCommand } from '#git/command/git-command';
import type { Repository } from '#storage/repository';
import { startService } from './start-service.ts';

export interface Advertisement {
  readonly service: 'upload-pack' | 'receive-pack';
  /** Settings of the request. */
  readonly config: readonly ConfigPair[];
  /** What the client asked for; anything but `version=1` and `version=2` is ignored. */
  readonly gitProtocol: string;
  readonly signal: AbortSignal;
}

/** We have no bundles to offer; git says so since it knows how to. */
export const NO_BUNDLE_URIS: ConfigPair = { key: 'uploadpack.advertiseBundleURIs', value: 'false' };

/**
 * What a smart HTTP server answers to `GET info/refs`: a packet that names the service, a flush packet, and git's advertisement.
 *
 * @throws {GitalyError} as `advertisement`; both may come after data.
 */
export async function* advertiseReferences(repository: Repository, asked: Advertisement): AsyncGenerator<Buffer> {
  yield* serviceHeader(asked.service);
  yield* advertisement(repository, asked);
}

/** The two packets before the advertisement, whatever that will be. */
export function serviceHeader(service: Advertisement['service']): Buffer[] {
  const title = `# service=git-${service}\n`;
  return [Buffer.from((title.length + 4).toString(16).padStart(4, '0') + title), Buffer.from('0000')];
}

/**
 * What git says first in a conversation, in the pieces in which it writes it.
 *
 * @throws {GitalyError} INTERNAL `cmd: …` when git cannot be started, `wait: exit status 128` when it fails.
 */
export async function* advertisement(repository: Repository, asked: Advertisement): AsyncGenerator<Buffer> {
  const { service, config, gitProtocol, signal } = asked;
  const command = gitCommand(service, { options: [flag('--stateless-rpc'), flag('--advertise-refs')], args: [repository.path] });
  await using process = start();
  for await (const chunk of process.stdout) yield chunk;
  try {
    await process.succeeded();
  } catch (error) {
    throw wrap(error, 'wait');
  }

  function start() {
    try {
      return startService(repository, command, { signal, config: [...config, NO_BUNDLE_URIS], gitProtocol, hooks: 'disabled' });
    } catch (error) {
      throw wrap(error instanceof Error ? error.cause : error, 'cmd');
    }
  }
}
