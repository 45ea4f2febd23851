import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStore } from '../open-store.ts';
import { parseAzureOptions } from './azure-options.ts';

const ACCOUNT = { AZURE_STORAGE_ACCOUNT: 'acc' };
const CONNECTION = 'DefaultEndpointsProtocol=https;AccountName=inside;AccountKey=a2V5;EndpointSuffix=x.net';
const parse = (query: string, environment: NodeJS.ProcessEnv) =>
  parseAzureOptions(new URL(`azblob://container?${query}`), environment);

// Options and variables, and their effects: Go Cloud 0.45, blob/azureblob.
for (const [query, environment, serviceUrl] of [
  ['', ACCOUNT, 'https://acc.blob.core.windows.net'],
  ['storage_account=other', ACCOUNT, 'https://other.blob.core.windows.net'],
  ['domain=blob.example', ACCOUNT, 'https://acc.blob.example'],
  ['', { ...ACCOUNT, AZURE_STORAGE_DOMAIN: 'blob.example' }, 'https://acc.blob.example'],
  ['domain=cdn.example&cdn=true', ACCOUNT, 'https://cdn.example'],
  ['domain=cdn.example', { ...ACCOUNT, AZURE_STORAGE_IS_CDN: '1' }, 'https://cdn.example'],
  ['protocol=http&domain=127.0.0.1:10000', ACCOUNT, 'http://127.0.0.1:10000/acc'],
  ['domain=azurite:10000&localemu=true&protocol=http', ACCOUNT, 'http://azurite:10000/acc'],
  ['', { ...ACCOUNT, AZURE_STORAGE_PROTOCOL: 'http' }, 'http://acc.blob.core.windows.net'],
] as const) {
  test(`azblob://container?${query} with ${JSON.stringify(environment)} is at ${serviceUrl}`, () => {
    const options = parse(query, environment);

    assert.deepEqual([options.container, options.serviceUrl], ['container', serviceUrl]);
  });
}

test('the credentials are those of the first variables that are set', () => {
  const key = { AZURE_STORAGE_KEY: 'a2V5' };
  const sas = { AZURE_STORAGE_SAS_TOKEN: '?sv=1&sig=x' };
  const connection = { AZURE_STORAGE_CONNECTION_STRING: CONNECTION };

  assert.deepEqual(parse('', { ...ACCOUNT, ...key, ...sas, ...connection }).credential, {
    kind: 'sharedKey',
    account: 'acc',
    key: 'a2V5',
  });
  const withSas = parse('', { ...ACCOUNT, ...sas, ...connection });
  assert.deepEqual(withSas.credential, { kind: 'sas' });
  assert.equal(withSas.serviceUrl, 'https://acc.blob.core.windows.net?sv=1&sig=x');
  const text = { kind: 'connectionString', text: CONNECTION };
  assert.deepEqual(parse('', { ...ACCOUNT, ...connection }).credential, text);
  assert.deepEqual(parse('', { AZURE_STORAGEBLOB_CONNECTIONSTRING: CONNECTION }).credential, text);
  assert.deepEqual(parse('', ACCOUNT).credential, { kind: 'chain' });
});

test('wrong options are refused, and secrets in the URL are not repeated', async () => {
  const refusals = {
    'azblob://': /no bucket/,
    'azblob://container?acount=x': /unknown option "acount"/,
    'azblob://container?storage_account=a&cdn=yes': /cdn is true or false; not "yes"/,
    'azblob://container?storage_account=a&protocol=ftp': /protocol is http or https; not "ftp"/,
    'azblob://container': /account is missing: set AZURE_STORAGE_ACCOUNT, or add \?storage_account=/,
    'azblob://account:hush@container': /^(?!.*hush).*AZURE_STORAGE_KEY/,
  };
  for (const [url, message] of Object.entries(refusals)) await assert.rejects(openStore(url), { message });
});
