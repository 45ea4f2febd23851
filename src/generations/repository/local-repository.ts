import type { ChainState } from '../chain/chain-state.ts';
import type { ReadGeneration } from '../codec/generation.ts';
import type { Mark } from '../codec/small-records.ts';

/** Identity of a place: a local repository that was written in another one is filled again (I8). */
export interface LocalIdentity {
  readonly incarnation: string;
  /** Random id of the server's directory, so that a copied disk is not trusted. */
  readonly server: string;
  readonly bootId: string;
  readonly fileSystem: string;
}

/**
 * A local copy of a repository: a cache. It writes references first and the mark after them, so
 * that after a crash some generations are applied twice, which has no effect.
 */
export interface LocalRepository {
  readonly identity: LocalIdentity;
  mark(): Promise<Mark | undefined>;
  apply(read: ReadGeneration, mark: Mark): Promise<void>;
  /** Replaces the contents by a state: removes the mark first, and writes the new one last. */
  fill(state: ChainState, mark: Mark): Promise<void>;
  drop(): Promise<void>;
  /** Reports whether the references are those of a state. */
  equals(state: ChainState): Promise<boolean>;
}

/**
 * Reports whether a local repository was written by this server, in this boot, on this file system.
 */
export function isTrusted(mark: Mark, identity: LocalIdentity): boolean {
  return (
    mark.incarnation === identity.incarnation &&
    mark.server === identity.server &&
    mark.bootId === identity.bootId &&
    mark.fileSystem === identity.fileSystem
  );
}

export function markOf({ n, checksum }: ChainState, identity: LocalIdentity): Mark {
  return { n, checksum, ...identity };
}
