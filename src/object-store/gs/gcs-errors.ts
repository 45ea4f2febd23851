import { isError } from '#base/is-error';
import { StoreError } from '../store-error.ts';

const FORBIDDEN = 'the account may not do this: give it the role Storage Object User on the bucket';
const UNREACHABLE = 'check the network, and STORAGE_EMULATOR_HOST or ?endpoint=';
const CREDENTIALS =
  'set GOOGLE_APPLICATION_CREDENTIALS to a file with credentials, or run on a machine with a service account';
const TOO_FAST = 'the service limits the rate of requests: use fewer at once';

/** Advice by the reason of the service, or the code of the system. */
const HINTS: Readonly<Record<string, string>> = {
  authError: 'the credentials are invalid or have expired, or the clock of this machine is wrong',
  forbidden: FORBIDDEN,
  insufficientPermissions: FORBIDDEN,
  NoCredentials: CREDENTIALS,
  NoSuchBucket: 'create the bucket, or correct its name in the URL',
  rateLimitExceeded: TOO_FAST,
  required: CREDENTIALS,
  userRateLimitExceeded: TOO_FAST,
  ECONNREFUSED: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ENOTFOUND: UNREACHABLE,
};

/** Reasons by status, for responses without a reason. */
const REASON_BY_STATUS: Readonly<Record<number, string>> = {
  401: 'authError',
  403: 'forbidden',
  404: 'notFound',
  409: 'conflict',
  412: 'conditionNotMet',
  416: 'requestedRangeNotSatisfiable',
  429: 'rateLimitExceeded',
  503: 'backendError',
};

/** Facts about a request that failed. */
export interface GcsProblem {
  readonly code: string;
  readonly status: number | undefined;
  readonly message: string;
  /** The same request may succeed later. */
  readonly isTransient: boolean;
}

/** Returns the facts of a response with an error: JSON, XML or a line of text. */
export function problemOfResponse(status: number, text: string): GcsProblem {
  const { reason, message } = errorIn(text);
  const isBucket = /bucket does not exist/.test(message);
  return {
    code: isBucket ? 'NoSuchBucket' : (reason ?? REASON_BY_STATUS[status] ?? `HTTP ${status}`),
    status,
    message,
    isTransient: status === 408 || status === 429 || status >= 500,
  };
}

function errorIn(text: string): { reason: string | undefined; message: string } {
  const [line = ''] = text.split('\n', 1);
  try {
    // Google's form of errors: every field is checked where it is used.
    const { error } = JSON.parse(text) as {
      error?: { message?: unknown; errors?: { reason?: unknown }[] } | string;
    };
    if (typeof error !== 'object') return { reason: undefined, message: String(error ?? line) };
    const reason = error.errors?.[0]?.reason;
    return {
      reason: typeof reason === 'string' ? reason : undefined,
      message: typeof error.message === 'string' ? error.message : line,
    };
  } catch {
    const code = /<Code>(\w+)<\/Code>/.exec(text)?.[1]; // not JSON
    return { reason: code, message: /<Message>([^<]*)<\/Message>/.exec(text)?.[1] ?? line };
  }
}

/** Returns the facts of a request without a complete response. */
export function problemOfConnection(error: unknown): GcsProblem {
  if (!isError(error))
    return { code: 'Unknown', status: undefined, message: String(error), isTransient: false };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const isCut = code !== undefined || error instanceof SyntaxError; // half a page of JSON
  return { code: code ?? 'BadResponse', status: undefined, message: error.message, isTransient: isCut };
}

/** Returns the facts of credentials that could not be read or exchanged for a token. */
export function problemOfCredentials(error: unknown): GcsProblem {
  const [message = ''] = (isError(error) ? error.message : String(error)).split('\n', 1);
  return { code: 'NoCredentials', status: undefined, message, isTransient: false };
}

/** Returns our error for a request that failed. */
export function gcsError(
  { code, message }: GcsProblem,
  call: { store: string; operation: string; key: string },
): StoreError {
  return new StoreError({ ...call, code, message, hint: HINTS[code] });
}
