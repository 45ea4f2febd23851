import { wrap, wrapped } from '#base/gitaly-error';
import { isError } from '#base/is-error';
import { FLUSH_PACKET, textPacket } from '#base/pkt-line/packet';
import { evenStream } from '#base/streams/even-pieces';
import type { ConfigPair } from '#git/command/config';
import { flag, gitCommand } from '#git/command/git-command';
import type { Repository } from '#storage/repository';
import type { OfferedBundle } from '../bundle/offered-bundle.ts';
import { advertisesBundleUri } from './bundle-uri-settings.ts';
import { startService } from './start-service.ts';

export interface Advertisement {
  readonly service: 'upload-pack' | 'receive-pack';
  /** Settings of the request. */
  readonly config: readonly ConfigPair[];
  /** Protocol requested by the client; anything but `version=1` and `version=2` is ignored. */
  readonly gitProtocol: string;
  /** Bundles that are offered to a fetch; absent for none. */
  readonly bundles?: readonly OfferedBundle[];
  readonly signal: AbortSignal;
}

/**
 * git writes each reference by itself, so that pipes are read in pieces of any size, and an answer
 * that is kept would for ever be sent in as many messages.
 */
const PIECE_BYTES = 128 * 1024;

/**
 * Yields the response of a smart HTTP server to `GET info/refs` in pieces of 128 KiB: a packet that
 * names the service, a flush packet, and git's advertisement.
 *
 * @throws {GitalyError} as `advertisement`; both may come after data.
 */
export async function* advertiseReferences(
  repository: Repository,
  asked: Advertisement,
): AsyncGenerator<Buffer> {
  yield* evenStream(wholeResponse(repository, asked), PIECE_BYTES);
}

async function* wholeResponse(repository: Repository, asked: Advertisement): AsyncGenerator<Buffer> {
  yield* serviceHeader(asked.service);
  yield* advertisement(repository, asked);
}

/** Returns the two packets before any advertisement. */
export function serviceHeader(service: Advertisement['service']): Buffer[] {
  return [textPacket(`# service=git-${service}\n`), FLUSH_PACKET];
}

/**
 * Yields git's advertisement in the chunks in which it writes it.
 *
 * @throws {GitalyError} INTERNAL `cmd: …` when git cannot be started, `wait: exit status 128` when
 *   it fails.
 */
export async function* advertisement(repository: Repository, asked: Advertisement): AsyncGenerator<Buffer> {
  const { service, config, gitProtocol, bundles, signal } = asked;
  const command = gitCommand(service, {
    options: [flag('--stateless-rpc'), flag('--advertise-refs')],
    args: [repository.path],
  });
  await using process = await start();
  for await (const chunk of process.stdout) yield chunk;
  await process.succeeded().catch(wrapped('wait'));

  async function start() {
    try {
      return await startService(repository, command, {
        signal,
        config: [...config, advertisesBundleUri(bundles)],
        gitProtocol,
        hooks: 'disabled',
      });
    } catch (error) {
      throw wrap(isError(error) ? error.cause : error, 'cmd');
    }
  }
}
