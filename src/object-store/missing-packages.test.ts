import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '#testkit/run-program';

/** Makes the packages of the services missing in a process, and opens a bucket. */
const WITHOUT_PACKAGES = `
  import { registerHooks } from 'node:module';
  const isPackage = (name) => new RegExp(process.argv[2]).test(name);
  registerHooks({
    resolve: (name, context, next) => next(isPackage(name) ? name + '-missing' : name, context),
  });
  const { openStore } = await import('#object-store/open-store');
  await openStore(process.argv[1]).then(
    () => console.log('opened'),
    (error) => console.log(error.name + ': ' + error.message),
  );
`;

async function openWithoutPackages(
  url: string,
  env: Record<string, string> = {},
  packages = '^(?:@aws-sdk/|@azure/|google-auth-library)',
): Promise<string> {
  const flags = [
    '--conditions=source',
    '--input-type=module',
    '--eval',
    WITHOUT_PACKAGES,
    '--',
    url,
    packages,
  ];
  const { stdout } = await run(process.execPath, flags, { cwd: import.meta.dirname, env });
  return stdout;
}

for (const [url, packages] of Object.entries({
  's3://bucket?region=a': '@aws-sdk/client-s3 @aws-sdk/s3-request-presigner',
  'gs://bucket': 'google-auth-library',
  'azblob://container?storage_account=a': '@azure/storage-blob',
})) {
  test(`without its packages ${url} is refused with the packages to install`, async () => {
    const output = await openWithoutPackages(url);

    assert.match(output, new RegExp(`^UnsupportedStoreError: .*npm install ${packages}$`, 'm'));
  });
}

test('a container of Azure without a key needs a second package', async () => {
  const output = await openWithoutPackages('azblob://container?storage_account=a', {}, '^@azure/identity$');

  assert.match(
    output,
    /^UnsupportedStoreError: .*set AZURE_STORAGE_KEY, .* or npm install @azure\/identity$/m,
  );
});

test('a bucket of Google without credentials needs no package', async () => {
  assert.equal(await openWithoutPackages('gs://bucket?anonymous=true'), 'opened\n');
  assert.equal(
    await openWithoutPackages('gs://bucket', { STORAGE_EMULATOR_HOST: 'localhost:1' }),
    'opened\n',
  );
});
