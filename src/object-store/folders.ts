import { PAGE_OBJECTS } from './object-store.ts';

/** Yields pages of the folders directly below a prefix, of keys in order. */
export function* foldersOf(prefix: string, keys: Iterable<string>): Generator<readonly string[]> {
  let page: string[] = [];
  let last: string | undefined;
  for (const key of keys) {
    const end = key.startsWith(prefix) ? key.indexOf('/', prefix.length) : -1;
    const folder = key.slice(0, end + 1);
    if (end < 0 || folder === last) continue;
    last = folder;
    page.push(folder);
    if (page.length < PAGE_OBJECTS) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}
