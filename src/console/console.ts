import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { codeOf } from '#base/gitaly-error';
import { acceptsGzip } from '#base/network/accepts-gzip';
import type { Connection } from '#client/connection';
import type { PageAnswer, PageRequest } from '#gateway/http/pages/page-source';
import { assetAt } from './assets.ts';
import { type ClusterSource, sharedCluster } from './cluster-status.ts';
import { CONSOLE_PATH, type ConsoleRoute, parseConsoleRoute, type ServerPage } from './console-route.ts';
import { FormTokens } from './form-tokens.ts';
import { document } from './html/layout.ts';
import { LastCommitSearches } from './last-commit-searches.ts';
import { Listings } from './listings.ts';
import { LiveStreams } from './live-streams.ts';
import type { MirrorSource } from './mirror-source.ts';
import type { NodesSource } from './nodes-status.ts';
import { type ConsolePage, cannotPost, notFound, problemPage, type Section } from './page.ts';
import { accountPage } from './pages/account-page.ts';
import { clusterPage } from './pages/cluster-page.ts';
import { mirrorsPage } from './pages/mirrors-page.ts';
import { overviewPage } from './pages/overview-page.ts';
import { readsAny, repositoriesPage } from './pages/repositories-page.ts';
import { repositoryPage } from './pages/repository-pages.ts';
import { runningPage } from './pages/running-page.ts';
import { slowPage } from './pages/slow-page.ts';
import { webhooksPage } from './pages/webhooks-page.ts';
import { Renderer } from './rendering/renderer.ts';
import { type ReadLastWrites, RepositoryCatalog } from './repositories/repository-catalog.ts';
import type { RepositoryScanner } from './repositories/scanned-table.ts';
import type { HistorySource } from './server-history.ts';
import type { StatusSource } from './server-status.ts';
import type { Visit } from './visit.ts';

export interface ConsoleOptions {
  /** Reads everything that the console shows. The console does not close it. */
  readonly connection: Connection;
  /** Name of the storage whose repositories it shows. */
  readonly storage: string;
  /**
   * `http://HOST:PORT` of an HTTP gateway for the same storage. Default: the address that the client
   * uses; `false`: there is none.
   */
  readonly httpAddress?: string | false;
  /** `ssh://git@HOST:PORT` of an SSH gateway for the same storage. Default: none is shown. */
  readonly sshAddress?: string;
  /** Returns the state of the server. Default: the page of running calls is missing. */
  readonly status?: StatusSource;
  /** Returns the last hour of that server. Default: plots and slow calls are missing. */
  readonly history?: HistorySource;
  /** Ends the running calls with a correlation id. Default: there is no button for it. */
  readonly cancel?: (correlationId: string) => Promise<number>;
  /** Returns what the nodes of a cluster do. Default: only the calls of `status` are shown. */
  readonly nodes?: NodesSource;
  /** Reads the state of a cluster. Default: the page about it is missing. */
  readonly cluster?: ClusterSource;
  /** Returns when repositories last changed. Default: times are those of their directories. */
  readonly lastWrites?: ReadLastWrites;
  /** Returns the mirrors. Default: there are none. */
  readonly mirrors?: MirrorSource;
  /** Finds the repositories of the storage. Default: they are listed by RPC, every two seconds. */
  readonly scanner?: RepositoryScanner;
}

/** Headers of every response. Nothing is loaded from, sent to or shown in other pages. */
const HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'same-origin', // without it browsers hide the origin of our own forms, too
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'private, no-store',
  Vary: 'Accept, Accept-Encoding',
} as const;
/** Pages about the calls and repositories of all users. */
const FOR_ADMINISTRATORS: ReadonlySet<ServerPage> = new Set([
  'cluster',
  'running',
  'slow',
  'webhooks',
  'mirrors',
]);
const WITH_FORMS: ReadonlySet<ServerPage> = new Set(['running', 'account']);
/** The pages, each limited to what its reader may see. */
const FOR_READERS: ReadonlySet<ServerPage> = new Set(['overview', 'repositories']);
/** A repository that is used to check credentials; it need not exist. */
const PROBE = 'console.git';
/** Time limit of the call that finds out if the storage is archived. */
const TIMEOUT_MS = 5000;
const MAX_TARGET_BYTES = 8192;
/** Smaller responses are not compressed. */
const COMPRESS_BYTES = 1024;
const compress = promisify(gzip);

/**
 * Pages about a server and its repositories, below `/-/console`. They show what the client may read
 * with git; forms make the few changes. Each page has a JSON form at the same address, with
 * `?format=json` or `Accept: application/json`.
 */
export class Console implements AsyncDisposable {
  readonly #options: ConsoleOptions;
  readonly #catalog: RepositoryCatalog;
  readonly #renderer = new Renderer();
  readonly #lastChanges: LastCommitSearches;
  readonly #listings = new Listings();
  readonly #sections: ReadonlySet<Section>;
  readonly #streams = new LiveStreams();
  readonly #formTokens = new FormTokens();
  #hasArchive: Promise<boolean> | undefined;

  constructor(options: ConsoleOptions) {
    const { cluster } = options;
    this.#options = { ...options, ...(cluster && { cluster: sharedCluster(cluster) }) };
    this.#sections = sectionsOf(options);
    this.#catalog = new RepositoryCatalog(options);
    this.#lastChanges = new LastCommitSearches(options.connection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.endStreams();
    this.#catalog[Symbol.dispose]();
    this.#lastChanges[Symbol.dispose]();
    await this.#renderer[Symbol.asyncDispose]();
  }

  /** Ends the events of live pages: the gateway closes. */
  endStreams(): void {
    this.#streams.end();
  }

  /**
   * Returns the response to a request whose path begins with `/-/console`.
   *
   * @throws errors of calls to the server, except those that mean that the page does not exist.
   */
  async answer(request: PageRequest): Promise<PageAnswer> {
    if (!['GET', 'HEAD', 'POST'].includes(request.method))
      return plain(405, 'The console supports only GET, HEAD and POST.', { Allow: 'GET, HEAD, POST' });
    if (request.method === 'POST' && !isOwn(request))
      return plain(403, 'Another site has sent this request, so nothing was changed.');
    if (request.target.length > MAX_TARGET_BYTES) return plain(414, 'The address is too long.');
    const [path = '', ...queries] = request.target.split('?');
    const query = new URLSearchParams(queries.join('?'));
    if (request.method === 'POST' && !this.#formTokens.accepts(request, query))
      return plain(403, 'The form is too old, so nothing was changed. Reload the page with it.');
    const route = parseConsoleRoute(path);
    if (route?.kind === 'moved') return moved(route.to);
    if (route?.kind === 'asset')
      return withHeaders(assetAt(route.name) ?? plain(404, 'There is no such file.'));
    const read = () => this.#page(route, request, query);
    if (wantsEvents(request)) return withHeaders(await this.#streams.answer(read, request.signal));
    const page = await read();
    if ('body' in page && 'headers' in page) return withHeaders(page);
    return page.location === undefined
      ? await sent(page, request, { query, sections: await this.#sectionsFor(request) })
      : moved(page.location);
  }

  async #page(
    route: Exclude<ConsoleRoute, { kind: 'moved' | 'asset' }> | undefined,
    request: PageRequest,
    query: URLSearchParams,
  ): Promise<ConsolePage | PageAnswer> {
    const { access, body, headers, method, signal } = request;
    const visit: Visit = {
      access,
      headers,
      method,
      isPost: method === 'POST',
      isJson: isJson(request, query),
      formParameters: this.#formTokens.parameters(request),
      query,
      form: new URLSearchParams(Buffer.from(body).toString()),
      signal,
    };
    if (route === undefined) return notFound();
    if (route.kind === 'page') {
      return visit.isPost && !WITH_FORMS.has(route.name)
        ? cannotPost()
        : await this.#serverPage(route.name, visit);
    }
    // Repositories that the client may not read get the response that git would get.
    const path = route.path.endsWith('.git') ? route.path : `${route.path}.git`;
    const refusal = await access.refusalAt(path);
    if (refusal !== undefined) return refusal.status === 401 ? refusal : problemOf(refusal);
    const { connection, httpAddress = originOf(request), sshAddress, storage } = this.#options;
    return await repositoryPage({ ...route, path }, visit, {
      connection,
      storage,
      isCluster: this.#options.cluster !== undefined,
      lastWrites: this.#options.lastWrites,
      httpAddress: httpAddress === false ? undefined : httpAddress,
      sshAddress,
      renderer: this.#renderer,
      lastChanges: this.#lastChanges,
      listings: this.#listings,
      mirrors: this.#options.mirrors,
      hasArchive: await this.#isArchived(),
    });
  }

  /** Reports whether the storage is archived, as the first page has found. */
  async #isArchived(): Promise<boolean> {
    const { connection, storage } = this.#options;
    this.#hasArchive ??= connection.archives
      .getStatus({ storageName: storage }, { timeoutMs: TIMEOUT_MS })
      .then(
        ({ archives }) => archives.length > 0,
        (error: unknown) => {
          if (codeOf(error) !== 'UNIMPLEMENTED') this.#hasArchive = undefined;
          return false;
        },
      );
    return await this.#hasArchive;
  }

  /** Returns the entries of the navigation that the client may open. */
  async #sectionsFor({ access }: PageRequest): Promise<ReadonlySet<Section>> {
    const isAdministrator = await access.isAdministrator();
    const sections = new Set(isAdministrator ? this.#sections : this.#sections.intersection(FOR_READERS));
    if (isAdministrator && (await this.#options.mirrors?.hasSome())) sections.add('mirrors');
    if (access.hasCredentials && access.account !== undefined) sections.add('account');
    return sections;
  }

  /** Reports whether the client's credentials are right, or it may read something without any. */
  async #isReader(visit: Visit): Promise<boolean> {
    const { access } = visit;
    if (access.isOpen || (await access.refusalAt(PROBE))?.status !== 401) return true;
    if (access.hasCredentials) return false;
    return (await access.readsWithoutCredentials()) ?? (await readsAny(visit, this.#catalog));
  }

  async #serverPage(name: ServerPage, visit: Visit): Promise<ConsolePage | PageAnswer> {
    const { access } = visit;
    if (FOR_ADMINISTRATORS.has(name) && !(await access.isAdministrator()))
      return access.hasCredentials
        ? problemPage(403, 'Refused', 'This page shows what all users do. Only administrators may see it.')
        : access.signIn;
    if (FOR_READERS.has(name) && !(await this.#isReader(visit))) return access.signIn;
    switch (name) {
      case 'sign-in':
        return access.hasCredentials || access.isOpen
          ? { title: 'Sign in', data: {}, body: notFound().body, location: `${CONSOLE_PATH}/repositories` }
          : access.signIn;
      case 'repositories':
        return await repositoriesPage(visit, this.#catalog);
      case 'overview':
        return await overviewPage(visit, { ...this.#options, catalog: this.#catalog });
      case 'cluster':
        return await clusterPage(this.#options);
      case 'running':
        return await runningPage(visit, this.#options);
      case 'slow':
        return await slowPage(visit, this.#options);
      case 'webhooks':
        return await webhooksPage(this.#options.status);
      case 'mirrors':
        return await mirrorsPage(this.#options.mirrors);
      case 'account':
        return await accountPage(visit);
    }
  }
}

/** Returns the entries of the navigation for which there is something to show. */
function sectionsOf({ cluster, history, status }: ConsoleOptions): ReadonlySet<Section> {
  return new Set<Section>([
    'overview',
    'repositories',
    ...(cluster === undefined ? [] : (['cluster'] as const)),
    ...(status === undefined ? [] : (['running', 'webhooks'] as const)),
    ...(history === undefined ? [] : (['slow'] as const)),
  ]);
}

function originOf({ headers, scheme }: PageRequest): string {
  return `${scheme}://${headers.host ?? 'localhost'}`;
}

/**
 * Reports whether a change was requested by a page of the console, or by a program that is not a
 * browser: every browser names the origin of a form.
 */
function isOwn(request: PageRequest): boolean {
  const { origin, 'sec-fetch-site': site } = request.headers;
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false;
  return origin === undefined || origin === originOf(request);
}

function problemOf({ body, status }: PageAnswer): ConsolePage {
  return problemPage(status, status === 404 ? 'Not found' : 'Refused', body.toString().trim());
}

/** Reports whether the client wants the changes of a live page. */
function wantsEvents({ headers, method }: PageRequest): boolean {
  return method === 'GET' && headers.accept === 'text/event-stream';
}

/** Reports whether the client wants the JSON form of a page. */
function isJson({ headers }: PageRequest, query: URLSearchParams): boolean {
  return query.get('format') === 'json' || /^application\/json\b/.test(headers.accept ?? '');
}

interface SendOptions {
  readonly query: URLSearchParams;
  readonly sections: ReadonlySet<Section>;
}

async function sent(
  page: ConsolePage,
  request: PageRequest,
  { query, sections }: SendOptions,
): Promise<PageAnswer> {
  const { access, headers } = request;
  const asJson = isJson(request, query);
  const text = asJson
    ? `${JSON.stringify(page.data, undefined, 2)}\n`
    : document(page, {
        ...{ apiAddress: request.apiAddress, sections },
        isSignedIn: access.isOpen || access.hasCredentials,
      });
  const type = `${asJson ? 'application/json' : 'text/html'}; charset=utf-8`;
  const body = Buffer.from(text);
  const isCompressed = body.length >= COMPRESS_BYTES && acceptsGzip(headers['accept-encoding']);
  return withHeaders({
    status: page.status ?? 200,
    headers: {
      'Content-Type': type,
      ...(page.status === 405 && { Allow: 'GET, HEAD' }),
      ...(isCompressed && { 'Content-Encoding': 'gzip' }),
    },
    body: isCompressed ? await compress(body) : body,
  });
}

function moved(to: string): PageAnswer {
  return withHeaders({ status: 303, headers: { Location: to }, body: '' });
}

function plain(status: number, text: string, headers: PageAnswer['headers'] = {}): PageAnswer {
  return withHeaders({
    status,
    headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers },
    body: `${text}\n`,
  });
}

function withHeaders({ headers, ...answer }: PageAnswer): PageAnswer {
  return { ...answer, headers: { ...HEADERS, ...headers } };
}
