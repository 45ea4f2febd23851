import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { PageRequest } from '#gateway/http/pages/page-source';

const SECRET_BYTES = 32;
/** Parameter of the address of a form. */
const PARAMETER = 'token';

/**
 * Tokens in the addresses of forms: a browser may change something only with a form of a page that
 * it has got with the same credentials. They are valid until the process ends.
 */
export class FormTokens {
  readonly #secret = randomBytes(SECRET_BYTES);

  /** Returns the parameters that the address of a form needs. */
  parameters(request: PageRequest): { readonly [PARAMETER]: string } {
    return { [PARAMETER]: this.#tokenFor(request) };
  }

  /** Reports whether the address of a form has the token. Programs other than browsers need none. */
  accepts(request: PageRequest, query: URLSearchParams): boolean {
    const { origin, 'sec-fetch-site': site } = request.headers;
    if (origin === undefined && site === undefined) return true; // every browser sends one of them
    const [given, expected] = [query.get(PARAMETER) ?? '', this.#tokenFor(request)].map((text) =>
      Buffer.from(text),
    );
    return given !== undefined && given.length === expected?.length && timingSafeEqual(given, expected);
  }

  #tokenFor({ headers }: PageRequest): string {
    return createHmac('sha256', this.#secret)
      .update(headers.authorization ?? '')
      .digest('base64url');
  }
}
