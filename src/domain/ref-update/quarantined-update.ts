import { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import { type PreparedValue, type UpdateContext, updateWithHooks } from './update-with-hooks.ts';

/**
 * A change whose objects have been made and whose reference has not moved yet. Disposing drops the
 * objects of a change that was not applied.
 */
export class PreparedUpdate<T extends PreparedValue> implements AsyncDisposable {
  /** The result of `make`, with the value that the reference gets. */
  readonly value: T;
  readonly #quarantine: Quarantine;
  readonly #repository: Repository;

  constructor(repository: Repository, quarantine: Quarantine, value: T) {
    this.#repository = repository;
    this.#quarantine = quarantine;
    this.value = value;
  }

  /**
   * Moves the reference, with hooks.
   *
   * @throws {UpdateFailedError}; the error of objects that cannot be written.
   */
  async apply(context: UpdateContext): Promise<void> {
    const { reference, oldOid, newOid, pushOptions, writeObjects, onKept } = this.value;
    const [repository, quarantine] = [this.#repository, this.#quarantine];
    await writeObjects?.();
    const update = { repository, quarantine, reference, oldOid, newOid, pushOptions, onKept };
    await updateWithHooks(update, context);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#quarantine[Symbol.asyncDispose]();
  }
}

/** Makes the objects of a change in a quarantine, and returns the value that its reference gets. */
export type MakeInQuarantine<T extends PreparedValue> = (quarantine: Quarantine) => Promise<T>;

/** Makes the objects of a change that is applied later, or never. */
export async function prepareUpdate<T extends PreparedValue>(
  repository: Repository,
  make: MakeInQuarantine<T>,
): Promise<PreparedUpdate<T>> {
  await using stack = new AsyncDisposableStack();
  const quarantine = stack.use(await Quarantine.create(repository));
  const prepared = new PreparedUpdate(repository, quarantine, await make(quarantine));
  stack.move();
  return prepared;
}

/**
 * Makes the objects of a change and moves its reference. All changes on behalf of a user that need
 * no confirmation are made by this function.
 *
 * @returns the result of `make`.
 * @throws {UpdateFailedError} when the reference cannot be moved; whatever `make` throws.
 */
export async function updateFromQuarantine<T extends PreparedValue>(
  repository: Repository,
  make: MakeInQuarantine<T>,
  context: UpdateContext,
): Promise<T> {
  await using prepared = await prepareUpdate(repository, make);
  await prepared.apply(context);
  return prepared.value;
}
