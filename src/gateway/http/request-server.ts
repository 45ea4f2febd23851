import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { GitalyError } from '#base/gitaly-error';
import { CallError } from '#client/call-error';
import { type Answer, sendAnswer } from './answer.ts';
import { type Authenticator, noAuthentication } from './authentication.ts';
import { busyReport } from './busy-report.ts';
import { type CreateOnPushOptions, RepositoryCreator } from './create-on-push.ts';
import { failureAnswer } from './failure.ts';
import type { GitExchange } from './git-exchange.ts';
import type { GitalyLink } from './gitaly-link.ts';
import type { RepositoryMapping } from './repository-mapping.ts';
import { isMalformedBody, requestBody } from './request-body.ts';
import { parseRoute, type Route } from './route.ts';
import { serveInfoRefs } from './serve-info-refs.ts';
import { serveReceivePack, serveUploadPack } from './serve-service.ts';

export interface RequestServerOptions {
  readonly link: GitalyLink;
  readonly mapping: RepositoryMapping;
  /** Default: everybody is let in. */
  readonly authenticator?: Authenticator;
  /** A push to a repository that does not exist makes it. Default: it is refused. */
  readonly createOnPush?: CreateOnPushOptions | false;
  /** Told of every request that failed for a reason on our side. */
  readonly onFailure?: (error: unknown, request: IncomingMessage) => void;
}

interface PreparedExchange {
  readonly kind: 'info-refs' | 'service';
  readonly exchange: GitExchange;
  readonly body: Readable;
}

/** Takes each request through the same steps: route, authenticate, map, check, forward; and turns failures into answers. */
export class RequestServer {
  readonly #options: RequestServerOptions;
  readonly #authenticator: Authenticator;
  readonly #creator: RepositoryCreator | undefined;

  constructor(options: RequestServerOptions) {
    this.#options = options;
    this.#authenticator = options.authenticator ?? noAuthentication();
    this.#creator = options.createOnPush ? new RepositoryCreator(options.link.connection, options.createOnPush) : undefined;
  }

  /** @param invite tells a client that waits with its body (`Expect: 100-continue`) to send it. */
  async serve(request: IncomingMessage, response: ServerResponse, invite: () => void): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort(new GitalyError('CANCELLED', 'the client went away'));
    });
    response.on('error', () => {}); // a client that vanished; `close` follows
    const route = parseRoute(request.method ?? '', request.url ?? '');
    let body: Readable = request;
    try {
      const prepared = await this.#prepare(route, { request, response, invite, signal: gone.signal });
      if ('answer' in prepared) return this.#refuse(response, prepared.answer);
      body = prepared.body;
      await this.#forward(prepared);
    } catch (error) {
      this.#fail(error, { request, response, body, route });
    }
  }

  /** Everything that can be refused before Gitaly is asked. */
  async #prepare(
    route: Route,
    parts: Pick<GitExchange, 'request' | 'response' | 'invite' | 'signal'>,
  ): Promise<PreparedExchange | { readonly answer: Answer }> {
    if (route.kind === 'answer') return route;
    const { kind, path, service } = route;
    const { request } = parts;
    const identity = await this.#authenticator.authenticate({
      headers: request.headers,
      remoteAddress: request.socket.remoteAddress,
      path,
      operation: service === 'git-upload-pack' ? 'read' : 'write',
    });
    if ('answer' in identity) return identity;
    const repository = this.#options.mapping.repositoryAt(path);
    if (repository === undefined) return { answer: failureAnswer(new GitalyError('NOT_FOUND', 'not mapped')) };
    const exchange: GitExchange = { ...parts, service, repository, identity };
    if (kind === 'info-refs') return { kind, exchange, body: request };

    const expected = `application/x-${service}-request`;
    if (request.headers['content-type'] !== expected)
      return { answer: { status: 415, text: `The content type must be ${expected}.` } };
    const body = requestBody(request);
    return 'answer' in body ? body : { kind, exchange, body };
  }

  #forward({ body, exchange, kind }: PreparedExchange): Promise<void> {
    if (kind === 'info-refs') return serveInfoRefs(exchange, this.#options.link, this.#creator);
    if (exchange.service === 'git-upload-pack') return serveUploadPack(exchange, body, this.#options.link);
    return serveReceivePack(exchange, body, { ...this.#options, creator: this.#creator });
  }

  #fail(
    error: unknown,
    { body, request, response, route }: { body: Readable; request: IncomingMessage; response: ServerResponse; route: Route },
  ): void {
    if (response.destroyed) return; // the client went away, which is what failed
    if (isMalformedBody(body)) {
      this.#refuse(response, { status: 400, text: 'The body of the request is not valid gzip.' });
      return;
    }
    const answer = failureAnswer(error);
    if (response.headersSent || answer.status >= 500) this.#options.onFailure?.(error, request);
    if (!response.headersSent && route.kind === 'service' && error instanceof CallError && error.limit !== undefined) {
      response.end(busyReport(route.service));
    } else {
      this.#refuse(response, answer);
    }
  }

  /** After the first byte of an answer, a cut connection is the only way left to say that something is wrong. */
  #refuse(response: ServerResponse, answer: Answer): void {
    if (response.headersSent) {
      response.destroy();
      return;
    }
    // The rest of a body that was not read is not worth keeping the connection for.
    const close = response.req.complete ? {} : { Connection: 'close' };
    sendAnswer(response, { ...answer, headers: { ...close, ...answer.headers } });
  }
}
