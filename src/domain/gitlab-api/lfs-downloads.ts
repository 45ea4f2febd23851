import type { Readable } from 'node:stream';
import { ApiRequestHeaders } from './api-request-headers.ts';
import { type GitlabSettings, tokenKey } from './create-internal-api.ts';
import { createHttpDownloads } from './http-transport.ts';
import type { ApiCallOptions } from './internal-api.ts';

const PATH = '/api/v4/internal/lfs';
const OK = 200;

/** An object that GitLab stores for Git LFS. */
export interface LfsObjectName {
  /** SHA-256 of the content, in hex. */
  readonly oid: string;
  /** GitLab's name of the repository, `project-1`. */
  readonly glRepository: string;
}

/** Downloads objects of Git LFS from GitLab's internal API. */
export class LfsDownloads {
  readonly #download: ReturnType<typeof createHttpDownloads>;
  readonly #headers: ApiRequestHeaders;

  /** @throws {Error} when a configured file cannot be read. */
  constructor(settings: GitlabSettings, options: { readonly userAgent: string }) {
    this.#download = createHttpDownloads(settings);
    const { user, password } = settings;
    const { userAgent } = options;
    this.#headers = new ApiRequestHeaders({ key: tokenKey(settings), user, password, userAgent });
  }

  /**
   * Opens an object; `undefined` if GitLab does not return it. Destroy it unless it is read to its
   * end.
   *
   * @throws {Error} when GitLab cannot be reached.
   */
  async open({ oid, glRepository }: LfsObjectName, options: ApiCallOptions): Promise<Readable | undefined> {
    const query = new URLSearchParams({ gl_repository: glRepository, oid });
    const { status, body } = await this.#download({
      method: 'GET',
      path: `${PATH}?${query}`,
      headers: this.#headers.of(options),
      signal: options.signal,
    });
    if (status === OK) return body;
    body.destroy();
    return undefined;
  }
}
