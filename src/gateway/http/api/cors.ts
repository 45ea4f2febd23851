import type { IncomingMessage, ServerResponse } from 'node:http';

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE';
const REQUEST_HEADERS =
  'Accept, Authorization, Content-Type, If-Match, If-None-Match, MCP-Protocol-Version, Range';
const ANSWER_HEADERS = 'Allow, Content-Range, ETag, Location, Retry-After';
const PREFLIGHT_SECONDS = 7200;

/**
 * Other sites whose pages may use the API. Their requests have the credentials that the page sets,
 * never those that the browser keeps. @see Fetch, 'CORS protocol'
 */
export class AllowedOrigins {
  readonly #origins: ReadonlySet<string>;

  /** @throws {TypeError} for a text that is no origin. */
  constructor(origins: readonly string[]) {
    for (const origin of origins)
      if (URL.parse(origin)?.origin !== origin || !/^https?:/.test(origin))
        throw new TypeError(`${origin} is no origin: write it as https://app.example.com`);
    this.#origins = new Set(origins);
  }

  /** Allows the page of another site to read the answer. Returns whether the request is from one. */
  allow({ headers: { origin } }: IncomingMessage, response: ServerResponse): boolean {
    if (origin === undefined || !this.#origins.has(origin)) return false;
    response.setHeader('Access-Control-Allow-Origin', origin);
    response.setHeader('Access-Control-Expose-Headers', ANSWER_HEADERS);
    return true;
  }
}

/** Answers the question of a browser whether a page may send a request. */
export function answerPreflight(response: ServerResponse): void {
  response.writeHead(204, {
    'Access-Control-Allow-Methods': METHODS,
    'Access-Control-Allow-Headers': REQUEST_HEADERS,
    'Access-Control-Max-Age': PREFLIGHT_SECONDS,
    Vary: 'Origin',
  });
  response.end();
}
