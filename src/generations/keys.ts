const DIGITS = 12;

/** Keys of a bucket that all repositories share. */
export const STORE_KEY = 'store';

/** Returns the key of the lease of a server. */
export function leaseKey(server: string): string {
  return `nodes/${encodeURIComponent(server)}`;
}

/** Returns the key of a record in the chain of a path. The escaped path has no slashes. */
export function pathKey(path: string, n: number): string {
  return `path/${encodeURIComponent(path)}/${digits(n)}`;
}

/** The keys of one repository. */
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

/** Returns the id of the repository that a key is of, and the part: `g`, `cp`, `p`, `pin`, `floor`, `given-up`. */
export function partOfKey(key: string): { readonly id: string; readonly part: string } {
  const [, id = '', part = ''] = key.split('/');
  return { id: decodeURIComponent(id), part };
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
