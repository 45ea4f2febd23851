const DIGITS = 12;

/** Keys of a bucket that all repositories share. */
export const STORE_KEY = 'store';

export function leaseKey(server: string): string {
  return `nodes/${encodeURIComponent(server)}`;
}

/** Beginning of the keys of the chains of all paths. */
export const PATHS_PREFIX = 'path/';

/** Returns the key of a record in the chain of a path. The escaped path has no slashes. */
export function pathKey(path: string, n: number): string {
  return `${PATHS_PREFIX}${encodeURIComponent(path)}/${digits(n)}`;
}

/** Returns the path of the key of a record; `undefined` for a key that other programs have made. */
export function pathOfKey(key: string): string | undefined {
  const escaped = /^path\/([^/]+)\/\d{12,}$/.exec(key)?.[1];
  return escaped === undefined ? undefined : unescaped(escaped);
}

export interface RepositoryKeys {
  /** Beginning of all others. */
  readonly root: string;
  readonly floor: string;
  readonly generations: string;
  readonly checkpoints: string;
  readonly packs: string;
  readonly pins: string;
  /** Note that the chain was replaced by another one, because it cannot be read. */
  readonly givenUp: string;
  generation(n: number): string;
  checkpoint(n: number): string;
  references(n: number): string;
  pack(name: string): string;
  pin(fork: string): string;
}

/** Returns the keys of the repository with an id, which has no slash. */
export function repositoryKeys(id: string): RepositoryKeys {
  const root = `r/${encodeURIComponent(id)}`;
  return {
    root: `${root}/`,
    floor: `${root}/floor`,
    generations: `${root}/g/`,
    checkpoints: `${root}/cp/`,
    packs: `${root}/p/`,
    pins: `${root}/pin/`,
    givenUp: `${root}/given-up`,
    generation: (n) => `${root}/g/${digits(n)}`,
    checkpoint: (n) => `${root}/cp/${digits(n)}`,
    references: (n) => `${root}/cp/${digits(n)}.refs`,
    pack: (name) => `${root}/p/${name}`,
    pin: (fork) => `${root}/pin/${encodeURIComponent(fork)}`,
  };
}

/** Returns the beginning of the keys of all repositories whose ids begin with a text. */
export function repositoriesPrefix(idPrefix: string): string {
  return `r/${encodeURIComponent(idPrefix)}`;
}

/**
 * Returns the id of the repository that a key is of, and the part: `g`, `cp`, `p`, `pin`, `floor`,
 * `given-up`; `undefined` for a key that other programs have made.
 */
export function partOfKey(key: string): { readonly id: string; readonly part: string } | undefined {
  const [, escaped = '', part = ''] = key.split('/');
  const id = unescaped(escaped);
  return id === undefined ? undefined : { id, part };
}

/** Returns the number at the end of the key of a generation or a checkpoint. */
export function numberOfKey(key: string): number {
  return Number.parseInt(key.slice(key.lastIndexOf('/') + 1), 10);
}

/** Returns the last part of a key. */
export function nameOfKey(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

function digits(n: number): string {
  return String(n).padStart(DIGITS, '0');
}

/** Reverses `encodeURIComponent`; `undefined` for a text that it does not return. */
function unescaped(escaped: string): string | undefined {
  try {
    const text = decodeURIComponent(escaped);
    return encodeURIComponent(text) === escaped ? text : undefined;
  } catch {
    return undefined; // no escaped text
  }
}
