import { isError } from '#base/is-error';
import { JsonFields } from '#base/json-fields';
import { StoreError } from '../store-error.ts';

const WRONG_REGION = 'the bucket is in another region: set ?region=';
const WRONG_KEYS = 'check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile';
const FORBIDDEN = 'the credentials do not permit this: check the policy of the bucket and of the user';
/** Errors of HEAD requests, whose responses have no body with the service's code. */
const REFUSED = 'check the credentials, the clock of this machine, and the policy of the bucket';
const REJECTED = 'the credentials may have expired, or ?region= may be wrong';
const EXPIRED = 'the credentials have expired: renew them';
const UNREACHABLE = 'check ?endpoint= and the network';

/** Advice by the code of the service, of the SDK, or of the system. */
const HINTS: Readonly<Record<string, string>> = {
  AccessDenied: FORBIDDEN,
  AllAccessDisabled: FORBIDDEN,
  AuthorizationHeaderMalformed: WRONG_REGION,
  BadRequest: REJECTED,
  CredentialsProviderError:
    'no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ?profile=',
  ECONNREFUSED: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ENOTFOUND: UNREACHABLE,
  ExpiredToken: EXPIRED,
  ExpiredTokenException: EXPIRED,
  Forbidden: REFUSED,
  IllegalLocationConstraintException: WRONG_REGION,
  InvalidAccessKeyId: WRONG_KEYS,
  MissingRegion: 'set ?region= or AWS_REGION',
  NoSuchBucket: 'create the bucket, or correct its name in the URL',
  PermanentRedirect: WRONG_REGION,
  RequestTimeTooSkewed: 'the clock of this machine is wrong: synchronize it',
  SignatureDoesNotMatch: WRONG_KEYS,
  SlowDown: 'the service limits the rate of requests: use fewer at once',
  TokenRefreshRequired: EXPIRED,
  XAdminUserNotFound: WRONG_KEYS, // of versitygw
};

/** Errors by status, for responses without a body. */
const CODE_BY_STATUS: Readonly<Record<number, string>> = {
  301: 'PermanentRedirect',
  304: 'NotModified',
  400: 'BadRequest',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'ConditionalRequestConflict',
  412: 'PreconditionFailed',
  503: 'SlowDown',
};

/** Facts about a failure of the SDK. */
export interface S3Problem {
  readonly code: string;
  readonly status: number | undefined;
  readonly message: string;
}

/** Returns the facts of an error that the SDK threw. */
export function s3ProblemOf(error: unknown): S3Problem {
  if (!isError(error)) return { code: 'Unknown', status: undefined, message: String(error) };
  // The SDK adds `$metadata` to errors of the service, Node `code` to those of the system.
  const fields = JsonFields.of(error);
  const [status, code] = [fields?.object('$metadata')?.number('httpStatusCode'), fields?.text('code')];
  const isUnnamed = /^(?:Error|Unknown|UnknownError|\d+)$/.test(error.name);
  const byStatus = status === undefined ? undefined : CODE_BY_STATUS[status];
  const name = code ?? (isUnnamed ? (byStatus ?? error.name) : error.name);
  // The SDK adds a second line for its own developers.
  const [message = ''] = error.message.split('\n', 1);
  return { code: name, status, message: /^Unknown(Error)?$/.test(message) ? '' : message };
}

/**
 * Reports whether the response broke off after its status. The SDK does not make such a call again.
 */
export function isCutResponse(error: unknown): boolean {
  return isError(error) && error.message.includes('\n  Deserialization error');
}

/** Returns our error for a failure of the SDK. */
export function s3Error(error: unknown, call: { store: string; operation: string; key: string }): StoreError {
  const { code: reported, message } = s3ProblemOf(error);
  const code = message.startsWith('Region is missing') ? 'MissingRegion' : reported;
  return new StoreError({ ...call, code, message, hint: HINTS[code] });
}
