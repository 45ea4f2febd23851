import type { PageAccess, PageRequest } from '#gateway/http/pages/page-source';
import type { Query } from './console-route.ts';

/** A request on its way to a page. */
export interface Visit extends Pick<PageRequest, 'headers' | 'method'> {
  /** True for a request that changes something. */
  readonly isPost: boolean;
  /** True if the JSON form of the page is requested. */
  readonly isJson: boolean;
  readonly query: URLSearchParams;
  /** Fields of the form that was sent; empty for a request that changes nothing. */
  readonly form: URLSearchParams;
  /** Parameters that the addresses of forms need. */
  readonly formParameters: Query;
  readonly access: PageAccess;
  readonly signal: AbortSignal;
}
