import type { IncomingMessage, ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import { codeOf } from '#base/gitaly-error';
import { type PacketSink, PacketSplitter } from '#base/pkt-line/packet-splitter';
import { writeChunk } from '#base/streams/copy-stream';
import { RepeatableInput } from '#base/streams/repeatable-input';
import { postReceivePack } from '#client/git/post-receive-pack';
import { postUploadPack } from '#client/git/post-upload-pack';
import type { RepositoryCreator } from '../create-on-push.ts';
import { gitProtocol } from '../git-protocol.ts';
import type { GitalyLink } from '../gitaly-link.ts';
import { mayCreate } from '../identity.ts';
import type { RepositoryInit } from '../repository-mapping.ts';
import { explainUnknownRules, requiredRules } from '../required-rules.ts';
import { setStreamHeaders } from './answer.ts';
import { callOptions } from './call-options.ts';
import type { GitExchange } from './git-exchange.ts';

/** Band of git's reason before it fails. @see git: sideband.h */
const ERROR_BAND = 3;
const ERR = Buffer.from('ERR ');

/**
 * Serves `POST …/git-upload-pack`: passes the body to git and git's output back, both through the
 * sidechannel.
 */
export async function serveUploadPack(
  exchange: GitExchange,
  body: AsyncIterable<Uint8Array>,
  link: GitalyLink,
): Promise<void> {
  const { response } = exchange;
  setStreamHeaders(response, 'application/x-git-upload-pack-result');
  exchange.sendContinue();
  const output = new GitOutput(response, (chunk) => exchange.access?.output(chunk));
  // The call of a name that does not exist may have read from the body.
  const stdin = new RepeatableInput(body);
  try {
    await uploadPack(exchange, { stdin, stdout: output.stdout }, link).catch(async (error: unknown) => {
      const isMissing = codeOf(error) === 'NOT_FOUND' && !response.headersSent;
      const other = isMissing ? await exchange.otherwise() : undefined;
      if (other === undefined) throw error;
      await uploadPack(other, { stdin, stdout: output.stdout }, link);
    });
  } catch (error) {
    // The client has the reason. A response that is cut would hide it, or add another one.
    if (exchange.signal.aborted || !output.endsWithError) throw error;
  } finally {
    await stdin.stop();
  }
  response.end();
}

function uploadPack(
  exchange: GitExchange,
  io: Parameters<typeof postUploadPack>[2],
  { registry, sidechannels }: GitalyLink,
): Promise<unknown> {
  const { repository, request } = exchange;
  const protocol = gitProtocol(request.headers['git-protocol']);
  return postUploadPack(
    sidechannels,
    registry,
    io,
    { repository, gitProtocol: protocol },
    callOptions(exchange),
  );
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
  const { access, identity, request, response } = exchange;
  const options = callOptions(exchange);
  setStreamHeaders(response, 'application/x-git-receive-pack-result');
  exchange.sendContinue();
  const target = await existingOrCreated(exchange, body, parts);
  if (target === undefined) {
    response.end(); // as git does after a request without commands
    return;
  }
  const { repository, stdin } = target;
  await postReceivePack(
    parts.link.connection,
    { stdin, stdout: access ? new GitOutput(response, (chunk) => access.output(chunk)).stdout : response },
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

interface PushTarget {
  readonly repository: RepositoryInit;
  readonly stdin: AsyncIterable<Uint8Array>;
}

/**
 * Creates the repository of a push if it is missing and may be created.
 *
 * @returns the push; `undefined` if there is none, and nothing was created.
 */
async function existingOrCreated(
  exchange: GitExchange,
  body: AsyncIterable<Uint8Array>,
  { creator, link }: ReceivePackOptions,
): Promise<PushTarget | undefined> {
  const [{ newRepository, repository }, options] = [exchange, callOptions(exchange)];
  const { exists } = await link.connection.repository.repositoryExists({ repository }, options);
  if (exists) return { repository, stdin: body };
  const other = await exchange.otherwise();
  if (other !== undefined) return { repository: other.repository, stdin: body };
  // For the error of a missing repository.
  if (creator === undefined || !mayCreate(exchange.identity)) return { repository, stdin: body };
  const stdin = await creator.createFor(newRepository, body, options);
  return stdin && { repository: newRepository, stdin };
}

/**
 * Forwards git's output to a response, and remembers whether it ends with an error of git. Each
 * write waits for the response, so that nothing is pending when the call ends.
 */
class GitOutput implements PacketSink {
  readonly stdout: Writable;
  #splitter: PacketSplitter | undefined = new PacketSplitter(this);
  #beginning = Buffer.alloc(0);

  /** @param onChunk called for each piece of the output. */
  constructor(response: ServerResponse, onChunk?: (chunk: Buffer) => void) {
    const write = (chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void => {
      this.#read(chunk);
      onChunk?.(chunk);
      const wait = writeChunk(response, chunk);
      if (wait === undefined) done();
      else wait.then(() => done(), done);
    };
    this.stdout = new Writable({ write, highWaterMark: 1 }).on('error', () => {});
  }

  /** True if the last packet is complete and contains git's reason for ending. */
  get endsWithError(): boolean {
    try {
      this.#splitter?.end();
    } catch {
      return false; // inside a packet
    }
    const isError = this.#beginning[0] === ERROR_BAND || this.#beginning.equals(ERR);
    return this.#splitter !== undefined && isError;
  }

  packet(): boolean {
    this.#beginning = Buffer.alloc(0);
    return true;
  }

  payload(piece: Buffer): void {
    if (this.#beginning.length < ERR.length)
      this.#beginning = Buffer.concat([
        this.#beginning,
        piece.subarray(0, ERR.length - this.#beginning.length),
      ]);
  }

  #read(chunk: Buffer): void {
    try {
      this.#splitter?.write(chunk);
    } catch {
      this.#splitter = undefined; // not packets, as in a pack of protocol 0 without side bands
    }
  }
}
