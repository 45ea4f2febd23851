/** Maximum number of new repositories that are kept until their default branch exists. */
const MAX_REMEMBERED = 1000;

/** New repositories whose default branch may not exist yet. */
export interface NewRepositories {
  add(key: string): void;
  /** Removes one, and returns whether it was there: who gets true sets the branch, or adds it again. */
  take(key: string): boolean | Promise<boolean>;
}

/** Remembers up to 1000 of them. */
export class RememberedRepositories implements NewRepositories {
  readonly #keys = new Set<string>();

  add(key: string): void {
    if (this.#keys.size < MAX_REMEMBERED) this.#keys.add(key);
  }

  take(key: string): boolean {
    return this.#keys.delete(key);
  }
}
