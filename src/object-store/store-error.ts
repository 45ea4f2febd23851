/** An object was requested that the store does not have. */
export class MissingObjectError extends Error {
  override readonly name = 'MissingObjectError';

  constructor(options?: ErrorOptions) {
    super("doesn't exist", options);
  }
}

/** An object was not stored: its state is not the one that `onlyIf` requires. */
export class PreconditionError extends Error {
  override readonly name = 'PreconditionError';

  constructor(key: string, options?: ErrorOptions) {
    super(`object ${JSON.stringify(key)} exists already, or has changed`, options);
  }
}

/** A URL names a store that this server cannot use. */
export class UnsupportedStoreError extends Error {
  override readonly name = 'UnsupportedStoreError';
}
