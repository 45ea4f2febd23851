import { HEAD } from '#git/names/ref-name';
import type { BundleHeader, BundleReference } from './bundle-header.ts';

const BRANCHES = Buffer.from('refs/heads/');
const SPACE = Buffer.from(' ');
const LINE_FEED = Buffer.from('\n');
/** More branches than any repository has at the commit of HEAD. */
const MAX_REFERENCES = 1000;

/**
 * Returns a header of which `git clone` makes the same configuration and HEAD as of the whole one:
 * with HEAD, and all branches at its commit, of which git chooses one. The first reference is in
 * it because git treats a bundle without references differently.
 *
 * @returns `undefined` if there are too many such branches.
 */
export async function shortHeader(header: BundleHeader, signal: AbortSignal): Promise<Buffer | undefined> {
  const head = await findReference(header, ({ name }) => name.equals(HEAD), signal);
  const kept: BundleReference[] = [];
  let isFirst = true;
  for await (const references of header.pieces({ signal }))
    for (const reference of references) {
      const isChosen = reference.name.equals(HEAD) || (head !== undefined && isBranchAt(reference, head));
      if (isFirst || isChosen) kept.push(reference);
      isFirst = false;
      if (kept.length > MAX_REFERENCES) return undefined;
    }
  const lines = kept.flatMap(({ oid, name }) => [oid, SPACE, name, LINE_FEED]);
  return Buffer.concat([header.preface, ...lines, LINE_FEED]);
}

function isBranchAt({ name, oid }: BundleReference, { oid: wanted }: BundleReference): boolean {
  return oid.equals(wanted) && name.subarray(0, BRANCHES.length).equals(BRANCHES);
}

async function findReference(
  header: BundleHeader,
  isWanted: (reference: BundleReference) => boolean,
  signal: AbortSignal,
): Promise<BundleReference | undefined> {
  for await (const references of header.pieces({ signal })) {
    const found = references.find(isWanted);
    if (found !== undefined) return found;
  }
  return undefined;
}
