import { Type } from 'typebox';
import type { HttpExchange } from '#gateway/http/http-exchange';
import type { BodyLimits } from '#gateway/http/request-body';
import { packageVersion } from '#platform/process/version';
import { API_PATH } from '../api-path.ts';
import { Problem, problemOf } from '../problems.ts';
import { NO_BYTES, readJson } from '../read-body.ts';
import { Checker } from '../read-request.ts';
import type { OperationRunner } from '../run-operation.ts';
import { sendJson, sendNothing } from '../send-answer.ts';
import { failedResult, MAX_TEXT_BYTES, type McpToolResult, toolResult } from './tool-result.ts';
import { sortArguments, TOOLS, type Tool, type ToolArguments } from './tools.ts';

/** Versions of the protocol, the newest first. */
const VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26'] as const;
/** Messages of one request, which only the oldest version has. */
const MAX_MESSAGES = 16;
const INVALID_REQUEST = -32600;
const UNKNOWN_METHOD = -32601;
const INVALID_PARAMETERS = -32602;
const INSTRUCTIONS =
  'Tools for the Git repositories of this server, without a clone. A repository has a path such as ' +
  'team/app. Commits are made as by a push: with the same rights, hooks and rules. Give the commit ' +
  'that you have seen as `expected`, so that no work of others is lost. /llms.txt has all operations.';

/** A message of a client. @see JSON-RPC 2.0 */
interface Message {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

const MESSAGE = new Checker(
  Type.Object({
    jsonrpc: Type.Literal('2.0'),
    id: Type.Optional(Type.Union([Type.String(), Type.Number()])),
    method: Type.Optional(Type.String()),
    params: Type.Optional(Type.Object({})),
  }),
  '',
);

/**
 * Serves the tools to programs of the Model Context Protocol, over streamable HTTP, without
 * sessions: each request has one answer.
 */
export class McpServer {
  readonly #runner: OperationRunner;
  readonly #limits: BodyLimits;

  constructor(runner: OperationRunner, limits: BodyLimits) {
    this.#runner = runner;
    this.#limits = limits;
  }

  /** Serves a request. @throws {Problem} {Refusal} also if the user must sign in. */
  async serve(exchange: HttpExchange): Promise<void> {
    const { request, response } = exchange;
    if (request.method !== 'POST')
      throw new Problem('method-not-allowed', 405, 'The address supports only POST.', {
        headers: { Allow: 'POST' },
      });
    const version = request.headers['mcp-protocol-version'] ?? VERSIONS[0];
    if (!isVersion(version))
      throw new Problem(
        'invalid-request',
        400,
        `MCP-Protocol-Version must be one of ${VERSIONS.join(', ')}.`,
      );
    const body = await readJson(exchange, this.#limits);
    const messages: unknown[] = Array.isArray(body) ? body : [body];
    if (messages.length === 0) throw new Problem('invalid-request', 400, 'The request has no message.');
    if (messages.length > MAX_MESSAGES)
      throw new Problem('too-large', 413, `A request has at most ${MAX_MESSAGES} messages.`);
    const answers: object[] = [];
    for (const message of messages) {
      const answer = await this.#answer(message, exchange);
      if (answer !== undefined) answers.push(answer);
    }
    if (answers.length === 0) return sendNothing(response, 202);
    await sendJson(request, response, { value: Array.isArray(body) ? answers : answers[0] });
  }

  /** Returns the answer to a message; `undefined` for a notification, or an answer of the client. */
  async #answer(message: unknown, exchange: HttpExchange): Promise<object | undefined> {
    if (!isMessage(message)) return failure(null, INVALID_REQUEST, 'This is no message of JSON-RPC 2.0.');
    const { id, method, params = {} } = message;
    if (id === undefined || method === undefined) return undefined;
    switch (method) {
      case 'initialize':
        return success(id, description(params.protocolVersion));
      case 'ping':
        return success(id, {});
      case 'tools/list':
        return success(id, { tools: TOOLS.map(({ listed }) => listed) });
      case 'tools/call': {
        const tool = TOOLS.find(({ name }) => name === params.name);
        if (tool === undefined) return failure(id, INVALID_PARAMETERS, 'There is no such tool.');
        return success(id, await this.#call(tool, Object(params.arguments), exchange));
      }
      default:
        return failure(id, UNKNOWN_METHOD, 'The server does not support this method.');
    }
  }

  /** Calls a tool. @throws {Problem} {Refusal} if the user must sign in, or the server has failed. */
  async #call(
    { operation }: Tool,
    given: Readonly<Record<string, unknown>>,
    { access, peer, request: { headers }, signal }: HttpExchange,
  ): Promise<McpToolResult> {
    try {
      const client = { headers, remoteAddress: peer.address, scheme: peer.scheme };
      const sorted = sortArguments(operation, given);
      const admitted = await this.#runner.admit(operation, sorted.repository, { access, client, signal });
      const query = operation.readQuery.read(sorted.query);
      const parameters = operation.readParameters.read(sorted.parameters);
      operation.checkBody?.check(sorted.body);
      const values = {
        ...{ parameters, query, body: sorted.body, content: NO_BYTES, headers: {}, isHead: false },
        maxPatchBytes: MAX_TEXT_BYTES,
      };
      const address = addressOf(operation.path, sorted);
      let result: McpToolResult = { content: [] };
      await admitted.run(
        values,
        async (reply) => {
          result = await toolResult(reply, query, address);
        },
        () => true,
      );
      return result;
    } catch (error) {
      const problem = problemOf(signal.aborted ? signal.reason : error);
      if (problem.status >= 500 || problem.kind === 'unauthenticated') throw error;
      access?.ended('refused', problem.message);
      return failedResult(problem);
    }
  }
}

function isVersion(version: unknown): boolean {
  return VERSIONS.some((each) => each === version);
}

function isMessage(value: unknown): value is Message {
  return MESSAGE.isValid(value);
}

function description(wanted: unknown): object {
  return {
    protocolVersion: isVersion(wanted) ? wanted : VERSIONS[0],
    capabilities: { tools: {} },
    serverInfo: { name: 'gitaly-ts', title: 'Git repositories', version: packageVersion() },
    instructions: INSTRUCTIONS,
  };
}

function success(id: string | number, result: object): object {
  return { jsonrpc: '2.0', id, result };
}

function failure(id: string | number | null, code: number, message: string): object {
  return { jsonrpc: '2.0', id, error: { code, message } };
}

/** Returns the address of the API's operation, with its query. */
function addressOf(path: string, { parameters, query, repository }: ToolArguments): string {
  const values = new Map(parameters.map(([name, bytes]) => [name, bytes.toString()]));
  const part = (_: string, name: string): string =>
    encodeURIComponent(name === 'repository' ? (repository ?? '') : (values.get(name) ?? ''));
  const asked = new URLSearchParams(query.map(([name, bytes]) => [name, bytes.toString()]));
  return `${API_PATH}${path.replaceAll(/\{(\w+)\}/g, part)}${asked.size === 0 ? '' : `?${asked}`}`;
}
