import { HeadFiles } from '#git/repository-files/head-files';
import { PackedRefsCache } from '../storage/files/packed-refs-cache.ts';
import { PackedSums } from '../storage/files/packed-sums.ts';
import { TipPeeler } from '../storage/files/peel-tips.ts';
import { RefLinesCache } from '../storage/files/ref-lines-cache.ts';
import { Stacks } from '../storage/reftable/stacks.ts';
import { ResolvedRefs } from '../storage/resolved-refs.ts';

/** Caches shared by all readers of a server. */
export class RefCaches {
  readonly packed = new PackedRefsCache();
  readonly resolved: ResolvedRefs;
  readonly heads: HeadFiles;
  readonly lines = new RefLinesCache();
  readonly peeler = new TipPeeler();
  readonly stacks = new Stacks();
  readonly sums = new PackedSums();

  constructor(resolved = new ResolvedRefs(), heads = new HeadFiles()) {
    this.resolved = resolved;
    this.heads = heads;
  }

  /** Drops everything about a repository that was removed or moved. */
  forget(gitDirectory: string): void {
    this.packed.forget(gitDirectory);
    this.lines.forget(gitDirectory);
    this.stacks.forget(gitDirectory);
    this.sums.forget(gitDirectory);
  }
}
