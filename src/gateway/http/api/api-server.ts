import type { IncomingMessage } from 'node:http';
import type { HttpExchange } from '../http-exchange.ts';
import type { BodyLimits } from '../request-body.ts';
import { agentsPage } from './agents-page.ts';
import { API_DOCUMENT, API_PATH, LLMS_PATH, MCP_PATH } from './api-path.ts';
import { type AllowedOrigins, answerPreflight } from './cors.ts';
import { type FoundOperation, OperationFinder } from './find-operation.ts';
import { McpServer } from './mcp/mcp-server.ts';
import { openApiDocument } from './openapi.ts';
import { Problem, problemOf } from './problems.ts';
import { NO_BYTES, readBodyBytes, readJson, requireNoForm } from './read-body.ts';
import { queryParts } from './read-request.ts';
import { READY_OPERATIONS, type ReadyOperation } from './ready-operation.ts';
import { OperationRunner, type OperationRunnerOptions } from './run-operation.ts';
import { sendJson, sendProblem, sendReply, sendText } from './send-answer.ts';

/** Options of the API of a gateway. */
export interface ApiOptions {
  /** Name of the storage with the repositories; their paths must be those in the storage. */
  readonly storage: string;
  /**
   * Other sites whose pages may use the API, with the credentials that they set themselves:
   * `https://app.example.com`. Default: none.
   */
  readonly origins?: readonly string[];
}

export interface ApiServerOptions extends OperationRunnerOptions {
  readonly origins: AllowedOrigins;
  /** Limits of bodies that are files. */
  readonly fileLimits: BodyLimits;
}

/** Patches of an answer; more would take longer than some milliseconds to encode. */
const MAX_PATCH_BYTES = 4 << 20;

/** Serves the operations of the table. */
export class ApiServer {
  readonly #fileLimits: BodyLimits;
  readonly #origins: AllowedOrigins;
  readonly #finder = new OperationFinder(READY_OPERATIONS);
  readonly #runner: OperationRunner;
  readonly #mcp: McpServer;

  constructor({ fileLimits, origins, ...options }: ApiServerOptions) {
    this.#origins = origins;
    this.#fileLimits = fileLimits;
    this.#runner = new OperationRunner(options);
    this.#mcp = new McpServer(this.#runner, fileLimits);
  }

  /** Serves a request. A failure becomes a problem document. @returns an error of the server. */
  async serve(exchange: HttpExchange): Promise<unknown> {
    try {
      await this.#serve(exchange);
      return undefined;
    } catch (error) {
      const { access, request, response, signal } = exchange;
      if (response.destroyed || response.headersSent) {
        access?.ended('aborted');
        response.destroy();
        return undefined;
      }
      const problem = problemOf(signal.aborted ? signal.reason : error);
      access?.ended(problem.status < 500 ? 'refused' : 'failed', problem.message);
      await sendProblem(request, response, problem);
      return problem.status >= 500 ? error : undefined;
    }
  }

  async #serve(exchange: HttpExchange): Promise<void> {
    const { access, peer, request, response, signal } = exchange;
    const [target = '', ...queries] = (request.url ?? '').split('?');
    if (!this.#origins.allow(request, response)) requireOwnSite(request);
    else if (request.method === 'OPTIONS') return answerPreflight(response);
    if (target === MCP_PATH) return await this.#mcp.serve(exchange);
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (isRead && target === LLMS_PATH) return sendText(request, response, agentsPage());
    const path = target.slice(API_PATH.length);
    if (isRead && path === API_DOCUMENT)
      return await sendJson(request, response, { value: openApiDocument() });
    const found = this.#finder.find(request.method ?? '', path);
    const { operation } = found;
    const { headers } = request;
    const client = { headers, remoteAddress: peer.address, scheme: peer.scheme };
    const repository = found.parts.find(([name]) => name === 'repository')?.[1].toString();
    const admitted = await this.#runner.admit(operation, repository, { access, client, signal });
    const parameters = operation.readParameters.read(found.parts.filter(([name]) => name !== 'repository'));
    const query = operation.readQuery.read(queryParts(queries.join('?')));
    const body = await this.#bodyOf(exchange, found);
    const isHead = request.method === 'HEAD';
    const values = { parameters, query, headers, isHead, maxPatchBytes: MAX_PATCH_BYTES, ...body };
    await admitted.run(
      values,
      (reply) => sendReply(exchange, query, reply),
      () => !response.headersSent,
    );
  }

  /** Reads the body that the operation wants. @throws {Problem} {Refusal} */
  async #bodyOf(
    exchange: HttpExchange,
    { operation: { body, checkBody, method } }: FoundOperation<ReadyOperation>,
  ): Promise<{ readonly body: unknown; readonly content: AsyncIterable<Uint8Array> }> {
    if (body === 'bytes') return { body: undefined, content: readBodyBytes(exchange, this.#fileLimits) };
    if (body === undefined) {
      requireNoForm(exchange, method);
      return { body: undefined, content: NO_BYTES };
    }
    const value = await readJson(exchange, this.#fileLimits);
    checkBody?.check(value);
    return { body: value, content: NO_BYTES };
  }
}

/** @throws {Problem} for a change that the page of another site sends with this site's credentials. */
function requireOwnSite({ headers, method }: IncomingMessage): void {
  const site = headers['sec-fetch-site'];
  if (method === 'GET' || method === 'HEAD' || site === undefined) return;
  if (site !== 'same-origin' && site !== 'none')
    throw new Problem('forbidden', 403, 'Another site has sent this request, so nothing was changed.');
}
