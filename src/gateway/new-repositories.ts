import { Limit } from '#base/limits/limit';

/** Maximum number of new repositories that are kept until their default branch exists. */
const MAX_REMEMBERED = 1000;

/**
 * The right to create a repository, or to set its default branch. Disposing gives it to the next
 * one that waits.
 */
export interface CreationTurn extends Disposable {
  /** Reports whether another one had it before: the repository may exist now. */
  readonly hasWaited: boolean;
}

/** New repositories whose default branch may not exist yet. */
export interface NewRepositories {
  add(key: string): void;
  /** Removes one, and returns whether it was there: who gets true sets the branch, or adds it again. */
  take(key: string): boolean | Promise<boolean>;
  /** Waits until no other push creates this repository, or sets its default branch. */
  turn(key: string): Promise<CreationTurn>;
}

/** Remembers up to 1000 of them. */
export class RememberedRepositories implements NewRepositories {
  readonly #keys = new Set<string>();
  /** Each gateway of each process waits once for a repository. */
  readonly #turns = new Limit<string>({ capacityPerOwner: 1 });

  add(key: string): void {
    if (this.#keys.size < MAX_REMEMBERED) this.#keys.add(key);
  }

  take(key: string): boolean {
    return this.#keys.delete(key);
  }

  async turn(key: string): Promise<CreationTurn> {
    let hasWaited = false;
    const onWait = (): void => {
      hasWaited = true;
    };
    const turn = await this.#turns.acquire(key, { onWait });
    return { hasWaited, [Symbol.dispose]: () => turn.release() };
  }
}
