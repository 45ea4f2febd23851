import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '#testkit/run-program';

/** Makes the packages of the SDK missing in a process. */
const WITHOUT_SDK = `
  import { registerHooks } from 'node:module';
  registerHooks({
    resolve: (name, context, next) => next(name.startsWith('@aws-sdk/') ? name + '-missing' : name, context),
  });
  const { openStore } = await import('#object-store/open-store');
  await openStore('s3://bucket?region=a').catch((error) => console.log(error.name + ': ' + error.message));
`;

test('without its packages a bucket of S3 is refused with the packages to install', async () => {
  const { stdout } = await run(
    process.execPath,
    ['--conditions=source', '--input-type=module', '--eval', WITHOUT_SDK],
    { cwd: import.meta.dirname },
  );

  assert.match(
    stdout,
    /^UnsupportedStoreError: .*npm install @aws-sdk\/client-s3 @aws-sdk\/s3-request-presigner$/m,
  );
});
