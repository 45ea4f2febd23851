import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { generateApi } from 'swagger-typescript-api';
import { startHttpGateway, storageMapping } from '#gateway/index';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startApi, type TestApi } from '#testkit/servers/start-api';
import { openBrowser, WITHOUT_CHROMIUM } from './console/browser.ts';

/** The work of a program with the generated client, in Node and in a browser. */
// biome-ignore lint/suspicious/noExplicitAny: the client is generated while the test runs
async function work({ Api }: any, baseUrl: string, branch: string) {
  const { repositories } = new Api({ baseUrl, baseApiParams: { credentials: 'omit' } });
  const app = encodeURIComponent('team/app');
  const { data: head } = await repositories.readCommit(app, 'main');
  const body = { branch, startBranch: 'main', message: 'By a client', files: { 'client.txt': branch } };
  const { data: made } = await repositories.createCommit(app, body);
  const { data: check } = await repositories.checkMerge(app, { source: branch, branch: 'main' });
  const { data: page } = await repositories.listCommits(app, { revision: branch, limit: 1 });
  const file = await repositories.readFile(app, 'client.txt', { revision: branch });
  const text = await file.text();
  const late = await repositories
    .createCommit(app, { ...body, expected: head.id })
    .catch((error: unknown) => error);
  return {
    ...{ head: head.id, made: made.id, check: check.result, text, next: typeof page.next },
    ...{ listed: page.items[0].id, status: late.status, type: late.error.type, current: late.error.current },
  };
}

/** Makes a client from the document that a server has. Returns its module. */
async function generateClient({ url }: TestApi): Promise<string> {
  const directory = makeScratchDirectory('api-client');
  const input = join(directory, 'openapi.json');
  writeFileSync(input, await (await fetch(`${url}/openapi.json`)).text());
  const { files } = await generateApi({ input, output: false, silent: true, toJS: true });
  const path = join(directory, 'api.mjs');
  const [client] = files.filter(({ fileExtension }) => fileExtension === '.js');
  writeFileSync(path, client?.fileContent ?? '');
  return path;
}

async function check(api: TestApi, branch: string, found: Awaited<ReturnType<typeof work>>): Promise<void> {
  const rev = (name: string) => api.repository.git(['rev-parse', name]);
  const made = await rev(branch);
  assert.deepEqual(found, {
    ...{ head: await rev('main'), made, check: 'fast-forward', text: branch, next: 'string' },
    ...{ listed: made, status: 409, type: 'urn:gitaly-ts:problem:reference-changed', current: made },
  });
}

test('a client that is generated from the OpenAPI document works in Node', async () => {
  await using api = await startApi();
  const client: unknown = await import(pathToFileURL(await generateClient(api)).href);

  await check(api, 'from-node', await work(client, api.url, 'from-node'));
});

/** Serves a page, and the client, at an address of their own. */
async function serveSite(context: TestContext, client: string): Promise<string> {
  const site = createServer(({ url }, response) => {
    const isModule = url === '/api.mjs';
    response.setHeader('Content-Type', isModule ? 'text/javascript' : 'text/html');
    response.end(isModule ? readFileSync(client) : '<!doctype html>');
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  context.after(() => site.close());
  const { port } = site.address() as AddressInfo; // it listens on a port
  return `http://127.0.0.1:${port}`;
}

test('it works in a browser, at another site that is allowed', {
  skip: WITHOUT_CHROMIUM,
}, async (context) => {
  await using api = await startApi();
  const origin = await serveSite(context, await generateClient(api));
  await using gateway = await startHttpGateway({
    gitaly: { address: api.gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    api: { storage: 'default', origins: [origin] },
  });
  const browser = await openBrowser();
  context.after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(origin);
  const workWith = async (url: string, branch: string) =>
    await page.evaluate(
      `import('/api.mjs').then((client) => (${work})(client, ${JSON.stringify(url)}, '${branch}'))`,
    );

  const found = (await workWith(`${gateway.url}/-/api/v1`, 'from-browser')) as Awaited<
    ReturnType<typeof work>
  >;
  await check(api, 'from-browser', found);
  await assert.rejects(workWith(api.url, 'from-stranger'), /Failed to fetch/, 'no site is allowed there');
  assert.equal(await api.repository.git(['for-each-ref', 'refs/heads/from-stranger']), '');
});
