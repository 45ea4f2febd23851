import type { Connection } from '#client/connection';
import type { Repository } from '#client/repository/repository';
import type { Commit } from '#client/repository/values';
import type { RepositoryView } from '../console-route.ts';
import type { LastCommitSearches } from '../last-commit-searches.ts';
import type { Listings } from '../listings.ts';
import type { MirrorSource } from '../mirror-source.ts';
import type { Renderer } from '../rendering/renderer.ts';
import type { ReadLastWrites } from '../repositories/repository-catalog.ts';
import type { Visit } from '../visit.ts';

export interface RepositoryPagesOptions {
  readonly connection: Connection;
  readonly storage: string;
  /** True if the repositories have replicas on the nodes of a cluster. */
  readonly isCluster: boolean;
  /** Returns when repositories last changed; `undefined` if that is not known. */
  readonly lastWrites: ReadLastWrites | undefined;
  readonly renderer: Renderer;
  readonly lastChanges: LastCommitSearches;
  readonly listings: Listings;
  /** `undefined` if there are no mirrors. */
  readonly mirrors: MirrorSource | undefined;
  /** True if the states of the repository are archived. */
  readonly hasArchive: boolean;
  /** Address for `git clone` by HTTP, before the path of a repository; `undefined` without HTTP. */
  readonly httpAddress: string | undefined;
  /** Address for `git clone` by SSH, before the path of a repository; `undefined` without SSH. */
  readonly sshAddress: string | undefined;
}

/** The repository of a page, with or without commits. */
export interface PlainVisit extends Visit, RepositoryPagesOptions {
  readonly repository: Repository;
  /** Path in the storage, which ends in `.git`. */
  readonly path: string;
  readonly view: RepositoryView;
  readonly calls: { readonly signal: AbortSignal; readonly timeoutMs: number };
}

/** A repository with commits, and the choices in the address of the page. */
export interface RepositoryVisit extends PlainVisit {
  readonly rest: Buffer;
  /** The chosen branch, tag or commit; the default branch if the address has none. */
  readonly revision: string;
  /** The commit of the revision. */
  readonly commit: Commit;
}
