import type { RefName } from '#git/names/ref-name';
import type { ReadRef, RefStorage } from './ref-storage.ts';
import type { ResolvedRef, ResolvedRefs, ResolvedRefWatch } from './resolved-refs.ts';

/** git: SYMREF_MAXDEPTH */
export const MAX_SYMBOLIC_DEPTH = 5;

/** Follows a reference to an object id; `undefined` when it does not exist or leads nowhere. */
export function followRef(read: ReadRef, name: RefName): ResolvedRef | undefined {
  let at = name;
  for (let depth = 0; depth < MAX_SYMBOLIC_DEPTH; depth++) {
    const raw = read(at);
    if (raw === undefined) return undefined;
    if (raw.oid !== undefined) return { name: at, oid: raw.oid };
    at = raw.symbolicTarget;
  }
  return undefined;
}

/** Follows a reference of a storage, and caches the result. */
export function followCached(
  storage: Pick<RefStorage, 'backend' | 'inView'>,
  resolved: ResolvedRefs,
  { gitDirectory, name }: { readonly gitDirectory: string; readonly name: RefName },
): ResolvedRef | undefined {
  const key = name.toString('latin1');
  const known = resolved.find(gitDirectory, key);
  if (known?.ref !== undefined || known?.backend === storage.backend) return known.ref;
  const watch: ResolvedRefWatch = resolved.watch(gitDirectory, key);
  const ref = storage.inView((read) => followRef(read, name), watch);
  watch.found(ref, storage.backend);
  return ref;
}
