import type { PageAccess } from '#gateway/http/pages/page-source';

/** A request on its way to a page. */
export interface Visit {
  readonly query: URLSearchParams;
  readonly access: PageAccess;
  readonly signal: AbortSignal;
  /** `http://HOST`, as the client addressed the gateway. */
  readonly origin: string;
}
