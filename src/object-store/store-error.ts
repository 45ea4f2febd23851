export class MissingObjectError extends Error {
  override readonly name = 'MissingObjectError';

  constructor(options?: ErrorOptions) {
    super("doesn't exist", options);
  }
}

/** An object was requested unless it has a version, which it has. */
export class UnchangedError extends Error {
  override readonly name = 'UnchangedError';

  constructor(key: string, options?: ErrorOptions) {
    super(`object ${JSON.stringify(key)} has not changed`, options);
  }
}

/**
 * Why a condition failed. `missing`: there is no object; some services report `changed` then.
 * `conflict`: another request for the object was running, and the same request may succeed.
 */
export type PreconditionReason = 'changed' | 'missing' | 'conflict';

/** An object was not stored or deleted: its state is not the one that `onlyIf` requires. */
export class PreconditionError extends Error {
  override readonly name = 'PreconditionError';
  readonly reason: PreconditionReason;

  constructor(key: string, { reason = 'changed', ...options }: PreconditionOptions = {}) {
    super(`object ${JSON.stringify(key)} ${PRECONDITIONS[reason]}`, options);
    this.reason = reason;
  }
}

interface PreconditionOptions extends ErrorOptions {
  readonly reason?: PreconditionReason;
}

const PRECONDITIONS: Readonly<Record<PreconditionReason, string>> = {
  changed: 'exists already, or has changed',
  missing: 'does not exist any more',
  conflict: 'is being changed by another request',
};

/** A URL names a store that this server cannot use. */
export class UnsupportedStoreError extends Error {
  override readonly name = 'UnsupportedStoreError';
}

export interface StoreFailure {
  /** Kind and name, such as `s3 bucket "backups"`. */
  readonly store: string;
  readonly operation: string;
  /** The key, or the prefix of a list. */
  readonly key: string;
  /** Error code of the service, such as `AccessDenied`. */
  readonly code: string;
  readonly message: string;
  /** Advice; `undefined` if only the message helps. */
  readonly hint: string | undefined;
}

/** Characters of a service's message that are kept: a proxy may respond with a page of HTML. */
const MAX_MESSAGE_LENGTH = 1000;

/**
 * A call of a service failed. The error of the service's library is not its cause: it refers to the
 * request, with its signature.
 */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly failure: StoreFailure;

  constructor(failure: StoreFailure) {
    const { store, operation, key, code, hint } = failure;
    const message = shortened(failure.message);
    const text = message === '' || message === code ? code : `${code}: ${message}`;
    super(`${store}: ${operation} ${JSON.stringify(key)}: ${text}${hint === undefined ? '' : ` (${hint})`}`);
    this.failure = { ...failure, message };
  }
}

function shortened(message: string): string {
  return message.length > MAX_MESSAGE_LENGTH ? `${message.slice(0, MAX_MESSAGE_LENGTH)} …` : message;
}
