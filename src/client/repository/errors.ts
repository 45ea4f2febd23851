import { GitalyError } from '#base/gitaly-error';
import {
  type AccessCheckError,
  AccessCheckErrorSchema,
  type CustomHookError,
  CustomHookErrorSchema,
  type IndexError,
  IndexErrorSchema,
  IndexError_ErrorType as IndexErrorType,
  MergeConflictErrorSchema,
  type MergeConflictError as MergeConflictMessage,
  ReferenceExistsErrorSchema,
  type ReferenceExistsError as ReferenceExistsMessage,
  type ReferenceUpdateError,
  ReferenceUpdateErrorSchema,
} from '#wire/gen/errors_pb';
import { bufferOf, decodeText } from './values.ts';

/** A merge, cherry-pick or revert that cannot be done without a decision. Nothing has changed. */
export class MergeConflictError extends GitalyError {
  override readonly name: string = 'MergeConflictError';
  /** Paths with conflicts. */
  readonly files: readonly string[];
  /** The commits that conflict, if the server named them. */
  readonly commits: readonly string[];

  constructor(error: GitalyError, { conflictingFiles, conflictingCommitIds }: MergeConflictMessage) {
    super(error.code, error.message, from(error));
    this.files = conflictingFiles.map(decodeText);
    this.commits = conflictingCommitIds;
  }
}

/** A hook refused the change. What it printed is meant for the user. */
export class HookRejectedError extends GitalyError {
  override readonly name: string = 'HookRejectedError';
  readonly stdout: string;
  readonly stderr: string;

  constructor(error: GitalyError, { stdout, stderr }: CustomHookError) {
    super(error.code, error.message, from(error));
    this.stdout = decodeText(stdout);
    this.stderr = decodeText(stderr);
  }
}

/** GitLab does not allow the user to make the change; `message` is its reason. */
export class AccessDeniedError extends GitalyError {
  override readonly name: string = 'AccessDeniedError';

  constructor(error: GitalyError, { errorMessage }: AccessCheckError) {
    super(error.code, errorMessage === '' ? error.message : errorMessage, from(error));
  }
}

/** A reference has moved meanwhile, or does not exist any more. Read again, and repeat. */
export class ReferenceChangedError extends GitalyError {
  override readonly name: string = 'ReferenceChangedError';
  /** Its full name. */
  readonly reference: string;

  constructor(error: GitalyError, { referenceName }: ReferenceUpdateError) {
    super(error.code, error.message, from(error));
    this.reference = decodeText(referenceName);
  }
}

/** A branch or tag to create exists already. */
export class ReferenceExistsError extends GitalyError {
  override readonly name: string = 'ReferenceExistsError';
  /** Its full name. */
  readonly reference: string;

  constructor(error: GitalyError, { referenceName }: Pick<ReferenceExistsMessage, 'referenceName'>) {
    super(error.code, error.message, from(error));
    this.reference = decodeText(referenceName);
  }
}

/** A change of a file cannot be made as requested: `file exists`, `file not found` … */
export class FileChangeError extends GitalyError {
  override readonly name: string = 'FileChangeError';
  readonly path: string;
  readonly pathBytes: Buffer;
  readonly reason: 'empty path' | 'invalid path' | 'directory exists' | 'outside' | 'file exists' | 'no file';

  constructor(error: GitalyError, { path, errorType }: IndexError) {
    super(error.code, error.message, from(error));
    this.path = decodeText(path);
    this.pathBytes = bufferOf(path);
    this.reason = FILE_REASONS[errorType] ?? 'invalid path';
  }
}

const FILE_REASONS: { readonly [type in IndexErrorType]?: FileChangeError['reason'] } = {
  [IndexErrorType.EMPTY_PATH]: 'empty path',
  [IndexErrorType.INVALID_PATH]: 'invalid path',
  [IndexErrorType.DIRECTORY_EXISTS]: 'directory exists',
  [IndexErrorType.DIRECTORY_TRAVERSAL]: 'outside',
  [IndexErrorType.FILE_EXISTS]: 'file exists',
  [IndexErrorType.FILE_NOT_FOUND]: 'no file',
};

/**
 * Error classes by the type of the message inside the detail: each call wraps it in a type of its
 * service.
 */
const CLASSES = {
  [MergeConflictErrorSchema.typeName]: MergeConflictError,
  [CustomHookErrorSchema.typeName]: HookRejectedError,
  [AccessCheckErrorSchema.typeName]: AccessDeniedError,
  [ReferenceUpdateErrorSchema.typeName]: ReferenceChangedError,
  [ReferenceExistsErrorSchema.typeName]: ReferenceExistsError,
  [IndexErrorSchema.typeName]: FileChangeError,
} as Readonly<Record<string, new (error: GitalyError, inner: never) => GitalyError>>;

/**
 * Returns the typed error for an error of a call, which becomes its cause. Other errors are
 * returned unchanged.
 */
export function typedError(error: unknown): unknown {
  if (!(error instanceof GitalyError)) return error;
  for (const detail of error.details) {
    const inner = innerOf(detail);
    const Typed = CLASSES[inner.$typeName];
    // The type name identifies the message.
    if (Typed !== undefined) return new Typed(error, inner as never);
  }
  return error;
}

/** Messages like UserMergeBranchError have one field, a oneof named `error`. */
function innerOf(detail: { readonly $typeName: string }): { readonly $typeName: string } {
  if (!('error' in detail) || typeof detail.error !== 'object' || detail.error === null) return detail;
  if (!('value' in detail.error)) return detail;
  const { value } = detail.error;
  return isMessage(value) ? value : detail;
}

function isMessage(value: unknown): value is { readonly $typeName: string } {
  return typeof value === 'object' && value !== null && '$typeName' in value;
}

function from(error: GitalyError) {
  const { details, hint, metadata } = error;
  return { cause: error, details, hint, metadata };
}
