import { codeOf } from '#base/gitaly-error';
import { FLUSH_PACKET, textPacket } from '#base/pkt-line/packet';
import { copyStream } from '#base/streams/copy-stream';
import { infoRefs } from '#client/git/info-refs';
import type { AccessEntry } from '../access/access-entry.ts';
import type { RepositoryCreator } from '../create-on-push.ts';
import { AdvertisementWatch } from '../empty-advertisement.ts';
import { gitProtocol } from '../git-protocol.ts';
import type { GitalyLink } from '../gitaly-link.ts';
import { mayCreate } from '../identity.ts';
import { setStreamHeaders } from './answer.ts';
import { callOptions } from './call-options.ts';
import type { GitExchange } from './git-exchange.ts';

/**
 * Header that requests the object format of a new repository. A client sends its object format only
 * after it has seen the server's, so a push of a sha256 repository to a new name must request it:
 * `git -c http.extraHeader='X-Git-Object-Format: sha256' push …`.
 */
const OBJECT_FORMAT_HEADER = 'x-git-object-format';

/**
 * Serves `GET …/info/refs?service=…`. It changes nothing: a push to a missing repository receives
 * the references of an empty one, if pushes create repositories.
 */
export async function serveInfoRefs(
  exchange: GitExchange,
  { creator, link }: { readonly link: GitalyLink; readonly creator: RepositoryCreator | undefined },
): Promise<void> {
  try {
    await advertise(exchange, link, creator);
  } catch (error) {
    if (codeOf(error) !== 'NOT_FOUND' || exchange.response.headersSent) throw error;
    const other = await exchange.otherwise();
    if (other !== undefined) await advertise(other, link, creator);
    else if (
      creator === undefined ||
      !mayCreate(exchange.identity) ||
      exchange.service !== 'git-receive-pack'
    )
      throw error;
    else advertiseEmpty(exchange, creator);
  }
  exchange.response.end();
}

function advertiseEmpty({ request, response, service }: GitExchange, creator: RepositoryCreator): void {
  const wantedFormat = request.headers[OBJECT_FORMAT_HEADER];
  response.write(Buffer.concat([textPacket(`# service=${service}\n`), FLUSH_PACKET]));
  response.write(
    creator.advertise(
      gitProtocol(request.headers['git-protocol']),
      typeof wantedFormat === 'string' ? wantedFormat : undefined,
    ),
  );
}

async function advertise(
  exchange: GitExchange,
  { connection }: GitalyLink,
  creator: RepositoryCreator | undefined,
): Promise<void> {
  const { access, repository, request, response, service } = exchange;
  setStreamHeaders(response, `application/x-${service}-advertisement`);
  const protocol = gitProtocol(request.headers['git-protocol']);
  const output = infoRefs(connection, service, { repository, gitProtocol: protocol }, callOptions(exchange));
  const watch = new AdvertisementWatch();
  await copyStream(seen(output, watch, access), response);
  if (service === 'git-receive-pack' && watch.isEmpty) creator?.noteEmpty(repository);
}

async function* seen(
  chunks: AsyncIterable<Uint8Array>,
  watch: AdvertisementWatch,
  access: AccessEntry | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    watch.see(chunk);
    access?.output(chunk);
    yield chunk;
  }
}
