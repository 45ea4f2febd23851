import type { PageAccess } from '#gateway/http/pages/page-source';

/** A request on its way to a page. */
export interface Visit {
  /** True for a request that changes something. */
  readonly isPost: boolean;
  readonly query: URLSearchParams;
  readonly access: PageAccess;
  readonly signal: AbortSignal;
}
