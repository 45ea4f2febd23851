import { LoopSlice } from '#base/async/loop-turns';
import { OID_DIGITS, OID_SOURCE } from '#git/names/object-id';
import type { OidList } from '#git/names/oid-set';
import { HEAD } from '#git/names/ref-name';
import type { Repository } from '#storage/repository';
import { referenceLinesOf } from './bundle-header.ts';
import { MAX_HEADER_BYTES } from './header-scan.ts';

/**
 * Matches names for which git looks for other references: `refs/heads/refs/tags/v1` makes
 * `refs/tags/v1` ambiguous, which is then omitted, and a branch may have the name of an object id.
 */
const AMBIGUOUS = new RegExp(`^refs/(?:heads/|tags/|remotes/)?(?:refs/|(?:HEAD|${OID_SOURCE})(?:/HEAD)?$)`);
const LINE_FEED = 0x0a;

/** The references of a repository as lines of a header: in the order of names, HEAD last. */
export class BundleReferences {
  readonly lines: readonly Buffer[];
  readonly #digits: number;

  private constructor(lines: readonly Buffer[], digits: number) {
    this.lines = lines;
    this.#digits = digits;
  }

  /** @returns `undefined` if one is ambiguous, or if there are too many. */
  static async list(repository: Repository, signal: AbortSignal): Promise<BundleReferences | undefined> {
    const slice = new LoopSlice();
    const lines: Buffer[] = [];
    let bytes = 0;
    for await (const batch of repository.refs.list({ patterns: [Buffer.from('refs/')] }, { signal })) {
      await slice.pause(signal);
      if (batch.some(({ name }) => AMBIGUOUS.test(name.toString('latin1')))) return undefined;
      const piece = referenceLinesOf(batch);
      bytes += piece.length;
      if (bytes > MAX_HEADER_BYTES) return undefined;
      lines.push(piece);
    }
    const head = await repository.refs.resolve(HEAD, { signal });
    if (head !== undefined) lines.push(referenceLinesOf([{ oid: head.oid, name: HEAD }]));
    return new BundleReferences(lines, OID_DIGITS[repository.objectFormat]);
  }

  /** Yields the object id of each reference. */
  *eachOid(): Generator<string> {
    for (const piece of this.lines)
      for (let at = 0; at < piece.length; at = piece.indexOf(LINE_FEED, at) + 1)
        yield piece.toString('latin1', at, at + this.#digits);
  }

  /** Returns the lines whose object is one of these. */
  async linesWith(oids: OidList, signal: AbortSignal): Promise<Buffer[]> {
    const slice = new LoopSlice();
    const found: Buffer[] = [];
    if (oids.size === 0) return found;
    for (const piece of this.lines) {
      await slice.pause(signal);
      for (let at = 0; at < piece.length; ) {
        const next = piece.indexOf(LINE_FEED, at) + 1;
        if (oids.has(piece.toString('latin1', at, at + this.#digits))) found.push(piece.subarray(at, next));
        at = next;
      }
    }
    return found;
  }
}
