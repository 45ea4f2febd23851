import { GitalyError, type StatusCode } from '#base/gitaly-error';
import { CallError } from '#client/call/call-error';
import { typedError } from '#client/repository/errors';
import {
  AccessDeniedError,
  FileChangeError,
  HookRejectedError,
  MergeConflictError,
  ReferenceChangedError,
  ReferenceExistsError,
} from '#client/repository/index';
import type { Answer } from '../answer.ts';
import { failureAnswer } from '../failure.ts';
import { HttpRefusal } from '../refusal.ts';

/** The kinds of problems, which clients branch on, with their titles. */
export const PROBLEM_KINDS = {
  'invalid-request': 'The request is not valid',
  unauthenticated: 'Credentials are missing or wrong',
  forbidden: 'The user may not do this',
  'not-found': 'There is no such thing, or the user may not see it',
  'method-not-allowed': 'The address does not support this method',
  exists: 'It exists already',
  'reference-exists': 'The reference exists already',
  'reference-changed': 'The reference has another value',
  'merge-conflict': 'The change conflicts',
  'hook-rejected': 'A hook or rule refused the change',
  'file-changed': 'The file has another content',
  'file-change': 'A file cannot be changed as requested',
  'failed-precondition': 'The state of the repository does not allow this',
  'precondition-required': 'The request must name the expected value',
  'too-large': 'The request is too large',
  'unsupported-type': 'The type or encoding of the body is not supported',
  'too-many-requests': 'There are too many requests',
  unsupported: 'The server does not support this',
  unavailable: 'The server is not available at this time',
  timeout: 'The request took too long',
  internal: 'The server failed',
} as const;
export type ProblemKind = keyof typeof PROBLEM_KINDS;

/** Before the kind, in the `type` of a problem. */
export const PROBLEM_TYPE = 'urn:gitaly-ts:problem:';

/** An error of a request, as its client gets it. @see RFC 9457 */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly kind: ProblemKind;
  readonly status: number;
  /** Further members of the answer. */
  readonly facts: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    kind: ProblemKind,
    status: number,
    detail: string,
    { cause, facts = {}, headers = {} }: ProblemOptions = {},
  ) {
    super(detail, { cause });
    this.kind = kind;
    this.status = status;
    this.facts = facts;
    this.headers = headers;
  }

  /** The document of the answer. */
  get document(): object {
    const { facts, kind, message: detail, status } = this;
    return { type: `${PROBLEM_TYPE}${kind}`, title: PROBLEM_KINDS[kind], status, detail, ...facts };
  }
}

interface ProblemOptions {
  readonly cause?: unknown;
  readonly facts?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

export function problemOf(thrown: unknown): Problem {
  const error = typedError(thrown);
  if (error instanceof Problem) return error;
  if (error instanceof HttpRefusal) return problemOfAnswer(error.answer, error);
  return typedProblem(error) ?? codedProblem(error) ?? problemOfAnswer(failureAnswer(error), error);
}

/** Returns the problem of an error of `client/repository`, with its facts. */
function typedProblem(error: unknown): Problem | undefined {
  if (error instanceof ReferenceChangedError) {
    const { reference } = error;
    const detail = `${reference} has another value now. Read it, and repeat the request.`;
    return new Problem('reference-changed', 409, detail, { cause: error, facts: { reference } });
  }
  if (error instanceof ReferenceExistsError) {
    const { reference } = error;
    const options = { cause: error, facts: { reference } };
    return new Problem('reference-exists', 409, `${reference} exists already.`, options);
  }
  if (error instanceof MergeConflictError) {
    const { commits, files } = error;
    const detail = 'The change conflicts with the branch, which was not changed.';
    return new Problem('merge-conflict', 409, detail, { cause: error, facts: { files, commits } });
  }
  if (error instanceof HookRejectedError) {
    const { message, stderr, stdout } = error;
    const detail = stderr.trim() || stdout.trim() || message;
    return new Problem('hook-rejected', 403, detail, { cause: error, facts: { stdout, stderr } });
  }
  if (error instanceof AccessDeniedError)
    return new Problem('forbidden', 403, error.message, { cause: error });
  if (error instanceof FileChangeError) {
    const { path, reason } = error;
    const detail = `${path}: ${reason}.`;
    return new Problem('file-change', 422, detail, { cause: error, facts: { path, reason } });
  }
  return undefined;
}

const BY_CODE: { readonly [code in StatusCode]?: readonly [ProblemKind, number] } = {
  INVALID_ARGUMENT: ['invalid-request', 400],
  OUT_OF_RANGE: ['invalid-request', 400],
  NOT_FOUND: ['not-found', 404],
  ALREADY_EXISTS: ['exists', 409],
  ABORTED: ['failed-precondition', 409],
  FAILED_PRECONDITION: ['failed-precondition', 422],
  PERMISSION_DENIED: ['hook-rejected', 403],
};

function codedProblem(error: unknown): Problem | undefined {
  if (!(error instanceof GitalyError) || (error instanceof CallError && error.limit !== undefined))
    return undefined;
  const [kind, status] = BY_CODE[error.code] ?? [];
  return kind && status ? new Problem(kind, status, error.message, { cause: error }) : undefined;
}

const BY_STATUS: Readonly<Record<number, ProblemKind>> = {
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not-found',
  405: 'method-not-allowed',
  408: 'timeout',
  413: 'too-large',
  415: 'unsupported-type',
  429: 'too-many-requests',
  501: 'unsupported',
  503: 'unavailable',
  504: 'timeout',
};

/** Returns the problem of an answer for git, with its headers. */
export function problemOfAnswer({ headers = {}, status, text }: Answer, cause?: unknown): Problem {
  const kind = BY_STATUS[status] ?? (status < 500 ? 'invalid-request' : 'internal');
  return new Problem(kind, status, text, { cause, headers });
}
