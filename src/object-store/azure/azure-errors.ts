import { isError } from '#base/is-error';
import { JsonFields } from '#base/json-fields';
import { StoreError } from '../store-error.ts';

const WRONG_KEY =
  'check AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY, the SAS token, and the clock of this machine';
const FORBIDDEN = 'the identity may not do this: give it the role Storage Blob Data Contributor';
const UNREACHABLE = 'check the storage account, ?domain= and the network';
const NO_CREDENTIALS =
  'no credentials were found: set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or use an identity';

/** Advice by the code of the service, of the SDK, or of the system. */
const HINTS: Readonly<Record<string, string>> = {
  AggregateAuthenticationError: NO_CREDENTIALS,
  AuthenticationFailed: WRONG_KEY,
  AuthenticationRequiredError: NO_CREDENTIALS,
  AuthorizationFailure: `${FORBIDDEN}, or change the firewall of the storage account`,
  AuthorizationPermissionMismatch: FORBIDDEN,
  ContainerNotFound: 'create the container, or correct its name in the URL',
  CredentialUnavailableError: NO_CREDENTIALS,
  ECONNREFUSED: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  ENOTFOUND: UNREACHABLE,
  InvalidAuthenticationInfo: WRONG_KEY,
  InvalidBlockList: 'another upload of the object has ended meanwhile: try again',
  NoAuthenticationInformation: NO_CREDENTIALS,
  ServerBusy: 'the service limits the rate of requests: use fewer at once',
};

/** Errors by status, for responses without a code. */
const CODE_BY_STATUS: Readonly<Record<number, string>> = {
  304: 'NotModified',
  401: 'NoAuthenticationInformation',
  403: 'AuthenticationFailed',
  404: 'BlobNotFound',
  412: 'ConditionNotMet',
  503: 'ServerBusy',
};
/** Codes of the SDK for a request or a response that broke off. */
const CUT =
  /^(?:EAI_AGAIN|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ERR_STREAM_PREMATURE_CLOSE|PARSE_ERROR|REQUEST_SEND_ERROR)$/;

/** Facts about a failure of the SDK. */
export interface AzureProblem {
  readonly code: string;
  readonly status: number | undefined;
  readonly message: string;
}

/** Returns the facts of an error that the SDK threw. */
export function azureProblemOf(error: unknown): AzureProblem {
  if (!isError(error)) return { code: 'Unknown', status: undefined, message: String(error) };
  // The SDK adds both fields to errors of the service, Node `code` to those of the system.
  const fields = JsonFields.of(error);
  const [status, code] = [fields?.number('statusCode'), fields?.text('code')];
  // The SDK reports a broken connection, and one that took too long, as aborted.
  if (error.name === 'AbortError')
    return { code: 'ECONNRESET', status: undefined, message: 'the connection broke' };
  const byStatus = status === undefined ? undefined : CODE_BY_STATUS[status];
  const name = error.name === 'Error' || error.name === 'RestError' ? 'Unknown' : error.name;
  // Later lines have the number of the request and the time.
  const [message = ''] = error.message.split('\n', 1);
  return {
    // Azure names the condition of a read that found nothing new as that of a failed write.
    code: status === 304 ? 'NotModified' : (code ?? byStatus ?? name),
    status,
    message: message.replace(/\bsig=[^&\s]+/g, 'sig=[secret]'),
  };
}

/** Reports whether the same request may succeed later. */
export function isTransient(error: unknown): boolean {
  const { code, status = 0, message } = azureProblemOf(error);
  return status === 408 || status === 429 || status >= 500 || CUT.test(code) || message === 'aborted';
}

/** Returns our error for a failure of the SDK. */
export function azureError(
  error: unknown,
  call: { store: string; operation: string; key: string },
): StoreError {
  const { code, message } = azureProblemOf(error);
  return new StoreError({ ...call, code, message, hint: HINTS[code] });
}
