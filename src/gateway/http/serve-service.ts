import type { IncomingMessage } from 'node:http';
import { postReceivePack } from '#client/git/post-receive-pack';
import { postUploadPack } from '#client/git/post-upload-pack';
import type { RepositoryCreator } from '../create-on-push.ts';
import { gitProtocol } from '../git-protocol.ts';
import type { GitalyLink } from '../gitaly-link.ts';
import { explainUnknownRules, requiredRules } from '../required-rules.ts';
import { setStreamHeaders } from './answer.ts';
import { callOptions } from './call-options.ts';
import type { GitExchange } from './git-exchange.ts';

/**
 * Serves `POST …/git-upload-pack`: passes the body to git and git's output back, both through the
 * sidechannel.
 */
export async function serveUploadPack(
  exchange: GitExchange,
  body: AsyncIterable<Uint8Array>,
  link: GitalyLink,
): Promise<void> {
  const { repository, request, response } = exchange;
  setStreamHeaders(response, 'application/x-git-upload-pack-result');
  exchange.sendContinue();
  await postUploadPack(
    link.connection,
    link.registry,
    { stdin: body, stdout: response },
    { repository, gitProtocol: gitProtocol(request.headers['git-protocol']) },
    callOptions(exchange),
  );
  response.end();
}

export interface ReceivePackOptions {
  readonly link: GitalyLink;
  readonly creator: RepositoryCreator | undefined;
  readonly onFailure?: (error: unknown, request: IncomingMessage) => void;
}

/** Serves `POST …/git-receive-pack`. The response contains refusals of hooks or git. */
export async function serveReceivePack(
  exchange: GitExchange,
  body: AsyncIterable<Uint8Array>,
  parts: ReceivePackOptions,
): Promise<void> {
  const { identity, repository, request, response } = exchange;
  const options = callOptions(exchange);
  setStreamHeaders(response, 'application/x-git-receive-pack-result');
  exchange.sendContinue();
  const stdin = await existingOrCreated(exchange, body, parts.creator);
  if (stdin === undefined) {
    response.end(); // as git does after a request without commands
    return;
  }
  await postReceivePack(
    parts.link.connection,
    { stdin, stdout: response },
    {
      repository,
      glId: identity.glId,
      glUsername: identity.username,
      glRepository: repository.glRepository ?? '',
      gitProtocol: gitProtocol(request.headers['git-protocol']),
      ...requiredRules(identity),
    },
    options,
  ).catch(explainUnknownRules);
  await parts.creator
    ?.chooseDefaultBranch(repository, options)
    .catch((error) => parts.onFailure?.(error, request)); // the push is done
  response.end();
}

/**
 * Creates the repository of a push if it is missing and may be created.
 *
 * @returns the push; `undefined` if there is none, and nothing was created.
 */
async function existingOrCreated(
  exchange: GitExchange,
  body: AsyncIterable<Uint8Array>,
  creator: RepositoryCreator | undefined,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const [{ repository }, options] = [exchange, callOptions(exchange)];
  if (creator === undefined || (await creator.exists(repository, options))) return body;
  return await creator.createFor(repository, body, options);
}
