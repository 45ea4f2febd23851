import type { IncomingMessage } from 'node:http';
import { postReceivePack } from '#client/git/post-receive-pack';
import { postUploadPack } from '#client/git/post-upload-pack';
import type { RepositoryCreator } from '../create-on-push.ts';
import { gitProtocol } from '../git-protocol.ts';
import type { GitalyLink } from '../gitaly-link.ts';
import { setStreamHeaders } from './answer.ts';
import { callOptions } from './call-options.ts';
import type { GitExchange } from './git-exchange.ts';

/** Answers `POST …/git-upload-pack`: the body goes to git as it comes, and git's answer back, both through the sidechannel. */
export async function serveUploadPack(exchange: GitExchange, body: AsyncIterable<Uint8Array>, link: GitalyLink): Promise<void> {
  const { repository, request, response } = exchange;
  setStreamHeaders(response, 'application/x-git-upload-pack-result');
  exchange.invite();
  await postUploadPack(
    link.connection,
    link.registry,
    { stdin: body, stdout: response },
    { repository, gitProtocol: gitProtocol(request.headers['git-protocol']) },
    callOptions(exchange),
  );
  response.end();
}

export interface ReceivePackParts {
  readonly link: GitalyLink;
  readonly creator: RepositoryCreator | undefined;
  readonly onFailure?: (error: unknown, request: IncomingMessage) => void;
}

/** Answers `POST …/git-receive-pack`. What hooks or git refuse is part of the answer. */
export async function serveReceivePack(
  exchange: GitExchange,
  body: AsyncIterable<Uint8Array>,
  parts: ReceivePackParts,
): Promise<void> {
  const { identity, repository, request, response } = exchange;
  const options = callOptions(exchange);
  setStreamHeaders(response, 'application/x-git-receive-pack-result');
  exchange.invite();
  await postReceivePack(
    parts.link.connection,
    { stdin: body, stdout: response },
    {
      repository,
      glId: identity.glId,
      glUsername: identity.username,
      glRepository: repository.glRepository ?? '',
      gitProtocol: gitProtocol(request.headers['git-protocol']),
    },
    options,
  );
  await parts.creator?.chooseDefaultBranch(repository, options).catch((error) => parts.onFailure?.(error, request)); // the push is done
  response.end();
}
