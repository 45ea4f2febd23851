import { HeadFiles } from '../head-files.ts';
import { PackedRefsCache } from './files/packed-refs-cache.ts';
import { PackedSums } from './files/packed-sums.ts';
import { TipPeeler } from './files/peel-tips.ts';
import { RefLinesCache } from './ref-lines-cache.ts';
import { Stacks } from './reftable/stacks.ts';
import { ResolvedRefs } from './resolved-refs.ts';

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
