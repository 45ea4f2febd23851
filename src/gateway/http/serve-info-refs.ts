import { copyStream } from '#base/copy-stream';
import { codeOf } from '#base/gitaly-error';
import { infoRefs } from '#client/git/info-refs';
import type { RepositoryCreator } from '../create-on-push.ts';
import { gitProtocol } from '../git-protocol.ts';
import type { GitalyLink } from '../gitaly-link.ts';
import { setStreamHeaders } from './answer.ts';
import { callOptions } from './call-options.ts';
import type { GitExchange } from './git-exchange.ts';

/**
 * A client does not say which object format it pushes before it has seen what the server offers, so one that pushes a sha256
 * repository to a new name has to ask for it: `git -c http.extraHeader='X-Git-Object-Format: sha256' push …`.
 */
const OBJECT_FORMAT_HEADER = 'x-git-object-format';

/** Answers `GET …/info/refs?service=…`. A push to a repository that is not there makes it, where that is wanted. */
export async function serveInfoRefs(
  exchange: GitExchange,
  link: GitalyLink,
  creator: RepositoryCreator | undefined,
): Promise<void> {
  try {
    await advertise(exchange, link);
  } catch (error) {
    const isMissing = codeOf(error) === 'NOT_FOUND' && !exchange.response.headersSent;
    if (!isMissing || creator === undefined || exchange.service !== 'git-receive-pack') throw error;
    const wantedFormat = exchange.request.headers[OBJECT_FORMAT_HEADER];
    await creator.create(exchange.repository, callOptions(exchange), typeof wantedFormat === 'string' ? wantedFormat : undefined);
    await advertise(exchange, link);
  }
  exchange.response.end();
}

async function advertise(exchange: GitExchange, { connection }: GitalyLink): Promise<void> {
  const { repository, request, response, service } = exchange;
  setStreamHeaders(response, `application/x-${service}-advertisement`);
  const protocol = gitProtocol(request.headers['git-protocol']);
  await copyStream(infoRefs(connection, service, { repository, gitProtocol: protocol }, callOptions(exchange)), response);
}
