import { parseBoolean, requireBucketUrl } from '../url-options.ts';

/** The credentials of a URL `azblob://container?…`. */
export type AzureCredential =
  | { readonly kind: 'sharedKey'; readonly account: string; readonly key: string }
  | { readonly kind: 'sas' }
  | { readonly kind: 'connectionString'; readonly text: string }
  /** Microsoft's own chain: environment, workload identity, managed identity, command line. */
  | { readonly kind: 'chain' };

/** Settings of a URL `azblob://container?…`. */
export interface AzureOptions {
  readonly container: string;
  /** Address of the service; with the SAS token, if there is one. */
  readonly serviceUrl: string;
  readonly credential: AzureCredential;
}

const TAKEN = ['cdn', 'domain', 'localemu', 'protocol', 'storage_account'];
const DEFAULT_DOMAIN = 'blob.core.windows.net';

/**
 * Translates the options and variables of Go Cloud's azureblob. An option takes precedence over its
 * variable.
 *
 * @throws {Error} for unknown options and values, and without container or account.
 * @see Go Cloud: blob/azureblob/azureblob.go
 */
export function parseAzureOptions(url: URL, environment: NodeJS.ProcessEnv): AzureOptions {
  const container = requireBucketUrl(url, {
    kind: 'azblob',
    taken: TAKEN,
    ignored: [],
    credentials: 'AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY',
  });
  const options = url.searchParams;
  const connection =
    environment.AZURE_STORAGE_CONNECTION_STRING || environment.AZURE_STORAGEBLOB_CONNECTIONSTRING || '';
  const account =
    options.get('storage_account') ||
    environment.AZURE_STORAGE_ACCOUNT ||
    /(?:^|;)AccountName=([^;]*)/.exec(connection)?.[1] ||
    '';
  const sasToken = (environment.AZURE_STORAGE_SAS_TOKEN ?? '').replace(/^\?/, '');
  const credential = credentialOf({
    account,
    sasToken,
    connection,
    key: environment.AZURE_STORAGE_KEY ?? '',
  });
  const isSelfContained = credential.kind === 'connectionString';
  const address = isSelfContained ? '' : addressOf(account, options, environment);
  return {
    container,
    serviceUrl: credential.kind === 'sas' ? `${address}?${sasToken}` : address,
    credential,
  };
}

function credentialOf(values: {
  readonly account: string;
  readonly key: string;
  readonly sasToken: string;
  readonly connection: string;
}): AzureCredential {
  const { account, key, sasToken, connection } = values;
  if (account !== '' && key !== '') return { kind: 'sharedKey', account, key };
  if (sasToken !== '') return { kind: 'sas' };
  if (connection !== '') return { kind: 'connectionString', text: connection };
  return { kind: 'chain' };
}

function addressOf(account: string, options: URLSearchParams, environment: NodeJS.ProcessEnv): string {
  if (account === '')
    throw new Error('the storage account is missing: set AZURE_STORAGE_ACCOUNT, or add ?storage_account=');
  const domain = options.get('domain') || environment.AZURE_STORAGE_DOMAIN || DEFAULT_DOMAIN;
  const protocol = options.get('protocol') || environment.AZURE_STORAGE_PROTOCOL || 'https';
  if (protocol !== 'http' && protocol !== 'https')
    throw new Error(`protocol is http or https; not ${JSON.stringify(protocol)}`);
  const isLocal =
    /^(?:127\.0\.0\.1|localhost)/.test(domain) ||
    booleanOf('localemu', options, environment.AZURE_STORAGE_IS_LOCAL_EMULATOR);
  if (isLocal) return `${protocol}://${domain}/${account}`;
  const isCdn = booleanOf('cdn', options, environment.AZURE_STORAGE_IS_CDN);
  return isCdn ? `${protocol}://${domain}` : `${protocol}://${account}.${domain}`;
}

function booleanOf(name: string, options: URLSearchParams, variable = ''): boolean {
  const value = options.get(name) ?? variable;
  return value !== '' && parseBoolean(name, value);
}
