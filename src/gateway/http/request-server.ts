import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { GitalyError } from '#base/gitaly-error';
import { CallError } from '#client/call/call-error';
import { AccessEntry } from '../access/access-entry.ts';
import type { AccessObserver } from '../access/access-record.ts';
import { type CreateOnPushOptions, RepositoryCreator } from '../create-on-push.ts';
import type { GatewayState } from '../family.ts';
import { type GitalyLink, reach } from '../gitaly-link.ts';
import type { RepositoryInit, RepositoryMapping } from '../repository-mapping.ts';
import { RepositoryNames } from '../repository-names.ts';
import { describeRequest, reportRequest } from './access-of-request.ts';
import { type Answer, sendAnswer } from './answer.ts';
import { API_DOCUMENT, API_PATH } from './api/api-path.ts';
import type { ApiOptions, ApiServer } from './api/api-server.ts';
import { AllowedOrigins } from './api/cors.ts';
import { type Authenticator, noAuthentication } from './authentication.ts';
import type { BundleSource } from './bundles/bundle-source.ts';
import { serveBundle } from './bundles/serve-bundle.ts';
import { busyReport } from './busy-report.ts';
import { callOptions } from './call-options.ts';
import { type EventOptions, EventStreams } from './events/event-streams.ts';
import { BUSY_ANSWER, failureAnswer, NOT_FOUND } from './failure.ts';
import type { GitExchange } from './git-exchange.ts';
import { HostCheck } from './host-check.ts';
import type { HttpExchange } from './http-exchange.ts';
import { lfsError } from './lfs/lfs-answer.ts';
import { LfsIdentities } from './lfs/lfs-identities.ts';
import { type LfsOptions, LfsServer, type LfsServerOptions } from './lfs/lfs-server.ts';
import type { HttpLimits } from './limits/http-limits.ts';
import { PAGES_PATH, type PageSource, pageOfRepository } from './pages/page-source.ts';
import { servePage } from './pages/serve-page.ts';
import { HttpRefusal, TOO_MANY } from './refusal.ts';
import { RequestBody } from './request-body.ts';
import { HOW_TO, NO_PAGE, parseRoute, type Route } from './route.ts';
import { serveInfoRefs } from './serve-info-refs.ts';
import { serveReceivePack, serveUploadPack } from './serve-service.ts';
import { TrustedProxies } from './trusted-proxies.ts';
import { discardRest, hasUnreadBody } from './unread-body.ts';

export interface RequestServerOptions {
  readonly link: GitalyLink;
  readonly mapping: RepositoryMapping;
  readonly limits: HttpLimits;
  readonly state: GatewayState;
  /** Operations on repositories as JSON, at `/-/api/v1`. Default: none. */
  readonly api?: ApiOptions;
  /** Bundles for clones. Default: none are served. */
  readonly lfs?: LfsOptions;
  readonly bundles?: BundleSource;
  /** The console's pages, below `/-/console`. Default: none. */
  readonly pages?: PageSource;
  /** Changes of repositories at `/-/events`, for `EventSource` and curl. Default: none are served. */
  readonly events?: EventOptions;
  /** Default: everybody is accepted. */
  readonly authenticator?: Authenticator;
  /**
   * Addresses and networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` and
   * `X-Forwarded-Proto` are used. Default: none.
   */
  readonly trustedProxies?: readonly string[];
  /**
   * Names, without ports, that requests on the loopback interface may have in `Host`, in addition
   * to `localhost`, loopback addresses and the name of this machine. A proxy on this machine that
   * passes its clients' `Host` needs them. Default: none.
   */
  readonly hosts?: readonly string[];
  /** Creates a missing repository on push. Default: the push is refused. */
  readonly createOnPush?: CreateOnPushOptions | false;
  /**
   * Called for every request that failed because of the server. The request's headers contain its
   * credentials: do not log them.
   */
  readonly onFailure?: (error: unknown, request: IncomingMessage) => void;
  /** Called at the end of each request of git, and of each that was refused. */
  readonly onAccess?: AccessObserver;
}

type ServedRoute = Exclude<Route, { readonly kind: 'answer' }>;
type PageRoute = Extract<Route, { readonly kind: 'page' }>;
type GitRoute = Exclude<ServedRoute, { readonly kind: 'api' | 'bundle' | 'events' | 'lfs' | 'page' }>;
type LfsRoute = Extract<Route, { readonly kind: 'lfs' }>;

/** A request in progress; its fields are set step by step. */
interface Visit extends HttpExchange {
  /** Aborts `signal`. */
  readonly gone: AbortController;
  body?: RequestBody;
}

/**
 * Takes each request through the same steps: check the host, route, count, authenticate, map,
 * check, forward. Converts failures to responses.
 */
export class RequestServer {
  readonly #options: RequestServerOptions;
  readonly #authenticator: Authenticator;
  readonly #creator: RepositoryCreator | undefined;
  readonly #names: RepositoryNames;
  readonly #proxies: TrustedProxies;
  readonly #hosts: HostCheck;
  readonly #events: EventStreams | undefined;
  /** `undefined` without Git LFS. */
  readonly lfs: LfsServer | undefined;
  readonly #origins: AllowedOrigins;
  #api: Promise<ApiServer> | undefined;

  /** Creates a server. @throws {TypeError} for a trusted proxy that is no network, and no origin */
  constructor(options: RequestServerOptions) {
    const { authenticator, createOnPush, events, lfs, link, state, trustedProxies } = options;
    this.#options = options;
    this.#authenticator = authenticator ?? noAuthentication();
    this.#creator = createOnPush
      ? new RepositoryCreator(link.connection, createOnPush, state.newRepositories)
      : undefined;
    this.#proxies = new TrustedProxies(trustedProxies ?? []);
    this.#hosts = new HostCheck(options.hosts ?? []);
    this.#origins = new AllowedOrigins(options.api?.origins ?? []);
    const { connection } = link;
    this.#names = new RepositoryNames(options.mapping, link);
    const slots = state.events;
    this.lfs = lfs && new LfsServer({ ...lfs, ...this.#lfsOptions() });
    this.#events = events && new EventStreams({ ...events, connection, authenticator, slots });
  }

  /** Ends streams that do not end by themselves. */
  endStreams(): void {
    this.#events?.end();
    this.#options.pages?.endStreams?.();
  }

  /**
   * Serves a request. @param sendContinue sends `100 Continue` to a client that waits for it before
   * its body (`Expect: 100-continue`).
   */
  async serve(request: IncomingMessage, response: ServerResponse, sendContinue: () => void): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort(new GitalyError('CANCELLED', 'the client disconnected'));
    });
    response.on('error', () => {}); // a client that vanished; `close` follows
    const peer = this.#proxies.peerOf(request);
    const { onAccess: observer } = this.#options;
    const access = observer && new AccessEntry({ observer, transport: 'http', remoteAddress: peer.address });
    const { signal } = gone;
    const visit: Visit = { request, response, sendContinue, gone, signal, peer, access };
    const misdirected = this.#hosts.refusalOf(request);
    const route = parseRoute(request.method ?? '', request.url ?? '');
    if (access !== undefined) describeRequest(access, route, request);
    if (misdirected !== undefined) await refuse(visit, misdirected);
    else if (route.kind === 'answer') await refuse(visit, route.answer);
    else await this.#take(visit, route);
    if (access !== undefined) reportRequest(access, route, response);
  }

  async #take(visit: Visit, route: ServedRoute): Promise<void> {
    const { gone } = visit;
    const slot = await this.#options.state.requests.take(visit.peer.address);
    if (typeof slot === 'string') return await refuse(visit, slot === 'client' ? TOO_MANY : BUSY_ANSWER);

    const timer = setTimeout(() => gone.abort(TOO_LONG), this.#options.limits.requestTimeoutMs).unref();
    try {
      if (route.kind === 'api') await this.#serveApi(visit);
      else if (route.kind === 'bundle') await this.#sendBundle(visit, route.query);
      else if (route.kind === 'events') await this.#sendEvents(visit, route.query);
      else if (route.kind === 'page') await this.#sendPage(visit, route);
      else if (route.kind === 'lfs') await this.#serveLfs(visit, route);
      else await this.#answer(visit, route);
    } catch (error) {
      await this.#fail(visit, route, visit.signal.aborted ? visit.signal.reason : error);
    } finally {
      clearTimeout(timer);
      slot[Symbol.dispose]();
    }
    await finishBody(visit);
  }

  async #answer(visit: Visit, { kind, path, service }: GitRoute): Promise<void> {
    const { access, sendContinue, peer, request, response, signal } = visit;
    const admission = await this.#authenticator.authenticate({
      headers: request.headers,
      remoteAddress: peer.address,
      scheme: peer.scheme,
      path,
      operation: service === 'git-upload-pack' ? 'read' : 'write',
    });
    if (access !== undefined) access.identity = 'answer' in admission ? admission.identity : admission;
    if ('answer' in admission) return await refuse(visit, admission.answer);
    const mapped = this.#names.at(path);
    if (mapped === undefined) return await refuse(visit, NOT_FOUND);
    const { glRepository, ...identity } = admission;
    const named = (at: RepositoryInit) => (glRepository === undefined ? at : { ...at, glRepository });
    const exchangeAt = (found: RepositoryInit): GitExchange => ({
      ...{ request, response, sendContinue, service, identity, access, signal },
      repository: named(found),
      newRepository: named(this.#names.newAt(path) ?? found),
      otherwise: async () => {
        const other = await this.#names.otherAt(path, found, callOptions(exchange));
        return other && exchangeAt(other);
      },
      remoteAddress: peer.address,
    });
    const exchange = exchangeAt(mapped);

    const options = { ...this.#options, creator: this.#creator };
    await reach(this.#options.link, signal);
    if (kind === 'info-refs') return await serveInfoRefs(exchange, options);
    const expected = `application/x-${service}-request`;
    if (request.headers['content-type'] !== expected) {
      return await refuse(visit, { status: 415, text: `The content type must be ${expected}.` });
    }
    visit.body = RequestBody.of(request, this.#bodyLimits(service), (chunk) => access?.input(chunk));
    if (service === 'git-upload-pack') await serveUploadPack(exchange, visit.body, this.#options.link);
    else await serveReceivePack(exchange, visit.body, options);
  }

  #lfsOptions(): Pick<LfsServerOptions, 'authenticator' | 'idsOf' | 'limits'> {
    const { limits, link } = this.#options;
    const times = { idleTimeoutMs: limits.bodyIdleTimeoutMs, timeoutMs: limits.requestTimeoutMs };
    const ids = new LfsIdentities({ link, names: this.#names, creator: this.#creator });
    return {
      authenticator: this.#authenticator,
      idsOf: (target) => ids.of(target),
      limits: {
        json: { ...times, maxBytes: MAX_LFS_JSON_BYTES, isGit: false },
        file: { ...times, maxBytes: limits.maxLfsFileBytes, isGit: false },
      },
    };
  }

  #bodyLimits(service: GitRoute['service']) {
    const { limits } = this.#options;
    const idleTimeoutMs = limits.bodyIdleTimeoutMs;
    return service === 'git-upload-pack'
      ? { maxBytes: limits.maxUploadPackBodyBytes, timeoutMs: limits.uploadPackBodyTimeoutMs, idleTimeoutMs }
      : { maxBytes: limits.maxReceivePackBodyBytes, timeoutMs: limits.requestTimeoutMs, idleTimeoutMs };
  }

  /** Serves an operation of the API, whose code the first one loads. */
  async #serveApi(visit: Visit): Promise<void> {
    const { api, lfs, limits, link, state } = this.#options;
    if (api === undefined) throw new HttpRefusal(NOTHING_HERE);
    this.#api ??= Promise.all([import('./api/api-server.ts'), import('./api/request-rate.ts')]).then(
      ([{ ApiServer }, { RequestRate }]) =>
        new ApiServer({
          ...{ connection: link.connection, names: this.#names, authenticator: this.#authenticator },
          ...{ storage: api.storage, origins: this.#origins },
          rate: limits.maxApiRequestsPerMinute > 0 ? new RequestRate(state.calls) : undefined,
          fileLimits: { ...this.#bodyLimits('git-receive-pack'), isGit: false },
          lfs: lfs?.store,
        }),
    );
    await reach(link, visit.signal);
    const failure = await (await this.#api).serve(visit);
    if (failure !== undefined) this.#options.onFailure?.(failure, visit.request);
  }

  /** Sends a bundle. The signature of its address replaces authentication. */
  async #sendBundle(visit: Visit, query: string): Promise<void> {
    const { bundles } = this.#options;
    if (bundles === undefined) throw new HttpRefusal(NOT_FOUND);
    await serveBundle({ ...visit, query }, bundles);
  }

  async #sendEvents(visit: Visit, query: string): Promise<void> {
    if (this.#events === undefined) throw new HttpRefusal(NOTHING_HERE);
    await this.#events.serve({ ...visit, query });
  }

  async #sendPage(visit: Visit, { isTop, repository }: PageRoute): Promise<void> {
    const { request } = visit;
    const { api, authenticator, pages } = this.#options;
    const isBrowser = pages !== undefined && request.headers.accept?.includes('text/html') === true;
    if (isTop === true)
      throw new HttpRefusal(isBrowser ? seeOther(PAGES_PATH) : { status: 200, text: WELCOME });
    if (isBrowser && repository !== undefined) throw new HttpRefusal(seeOther(pageOfRepository(repository)));
    if (pages === undefined || repository !== undefined) throw new HttpRefusal(NOTHING_HERE);
    const body = await this.#formOf(visit);
    const apiAddress = api && API_PATH + API_DOCUMENT;
    const rights = { authenticator, lfs: this.lfs };
    await servePage({ ...visit, body, apiAddress, ...rights }, pages);
  }

  /** Reads the fields of a form that is posted. */
  async #formOf(visit: Visit): Promise<Uint8Array> {
    const { request, sendContinue } = visit;
    if (request.method !== 'POST') return Buffer.alloc(0);
    const { bodyIdleTimeoutMs: idleTimeoutMs, requestTimeoutMs: timeoutMs } = this.#options.limits;
    visit.body = RequestBody.of(request, {
      idleTimeoutMs,
      timeoutMs,
      maxBytes: MAX_FORM_BYTES,
      isGit: false,
    });
    sendContinue();
    return await buffer(visit.body);
  }

  async #serveLfs(visit: Visit, { query, repository, rest }: LfsRoute): Promise<void> {
    if (this.lfs === undefined) throw new HttpRefusal(NO_LFS);
    await reach(this.#options.link, visit.signal);
    await this.lfs.serve({ ...visit, query, repository, rest });
  }

  async #fail(visit: Visit, route: ServedRoute, error: unknown): Promise<void> {
    const { access, body, request, response } = visit;
    if (response.destroyed) return access?.ended('aborted'); // the client disconnected, which is the failure
    const answer = answerTo(error, body);
    const isLimit = error instanceof CallError && error.limit !== undefined;
    if (answer.status >= 400)
      access?.ended(answer.status < 500 || isLimit ? 'refused' : 'failed', answer.text);
    if (response.headersSent || answer.status >= 500) this.#options.onFailure?.(error, request);
    if (!response.headersSent && route.kind === 'service' && isLimit) {
      response.end(busyReport(route.service));
    } else {
      await refuse(visit, answer);
    }
  }
}

/** Rules of 64 KiB, in a form that encodes each byte with three. */
const MAX_FORM_BYTES = 1 << 18;
/** A batch of 1,000 files has 120 KB; more would take longer than some milliseconds to parse. */
const MAX_LFS_JSON_BYTES = 256 << 10;
const NO_LFS = lfsError(
  501,
  'This server does not support Git LFS. Use another server for large files: git config lfs.url URL',
);
const NOTHING_HERE: Answer = { status: 404, text: NO_PAGE };
const WELCOME = `This is a Git server. ${HOW_TO}`;

function seeOther(page: string): Answer {
  return { status: 303, text: `See ${page}`, headers: { Location: page } };
}

const TOO_LONG = new HttpRefusal({ status: 504, text: 'The request took longer than this server allows.' });

function answerTo(error: unknown, body: RequestBody | undefined): Answer {
  if (error instanceof HttpRefusal) return error.answer;
  const answer = body?.refusal ?? failureAnswer(error);
  // git fails at the end of what it waits for, as at a connection that breaks.
  return answer.status === 500 && body?.isEmpty === true ? NO_BODY : answer;
}

const NO_BODY: Answer = { status: 400, text: 'The request has no body.' };

/** Handles the rest of the body: git may respond without reading to the end. */
async function finishBody({ request }: Visit): Promise<void> {
  if (request.destroyed || !hasUnreadBody(request)) return;
  await discardRest(request);
  if (hasUnreadBody(request)) request.destroy();
}

/**
 * Refuses a request. After the first byte of a response, closing the connection is the only way to
 * report an error.
 */
async function refuse({ access, request, response }: Visit, answer: Answer): Promise<void> {
  if (answer.status >= 400) access?.ended('refused', answer.text);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  if (!hasUnreadBody(request)) return sendAnswer(response, answer);
  // The connection is closed instead of reading the rest of the body.
  sendAnswer(response, { ...answer, headers: { Connection: 'close', ...answer.headers } }, { isOpen: true });
  await discardRest(request);
  response.end();
}
