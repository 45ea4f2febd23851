import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { type HttpGateway, startHttpGateway, storageMapping } from '#gateway/index';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const HEAD = 'POST /a.git/git-upload-pack HTTP/1.1\r\nHost: localhost\r\n';
/** The request that a smuggler hides behind another. */
const SECOND = 'GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n';
const END = '\r\n0\r\n\r\n';

/** Requests whose length or host two servers in a row may read in different ways. */
const AMBIGUOUS = {
  'two encodings': `${HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n${END}`,
  'identity and chunked': `${HEAD}Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n${END}`,
  'chunked and identity': `${HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n${END}`,
  'a list of encodings': `${HEAD}Transfer-Encoding: gzip, chunked\r\n${END}`,
  'chunked twice': `${HEAD}Transfer-Encoding: chunked, chunked\r\n${END}`,
  identity: `${HEAD}Transfer-Encoding: identity\r\n${END}`,
  'an unknown encoding': `${HEAD}Transfer-Encoding: xchunked\r\n${END}`,
  'an empty encoding': `${HEAD}Transfer-Encoding:\r\n${END}`,
  'a length and an encoding': `${HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n${END}`,
  'an encoding and a length': `${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n${END}`,
  'two lengths': `${HEAD}Content-Length: 0\r\nContent-Length: 5\r\n\r\n`,
  'a list of lengths': `${HEAD}Content-Length: 0, 0\r\n\r\n`,
  'a length with a sign': `${HEAD}Content-Length: +0\r\n\r\n`,
  'a space before the colon': `${HEAD}Transfer-Encoding : chunked\r\n${END}`,
  'a folded header': `${HEAD}Transfer-Encoding:\r\n chunked\r\n${END}`,
  'bare line feeds': 'POST / HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n0\n\n',
  'an encoding in HTTP/1.0': `${HEAD.replace('1.1', '1.0')}Transfer-Encoding: chunked\r\n${END}`,
  'two hosts': 'GET / HTTP/1.1\r\nHost: localhost\r\nHost: 127.0.0.1\r\n\r\n',
} as const;
/** Longer than any response takes, shorter than the listeners' own limits. */
const LIMIT_MS = 3000;

let gitaly: TestGitaly;
let gateway: HttpGateway;
let ports: { readonly gateway: number; readonly monitoring: number };

before(async () => {
  gitaly = await startGitaly({ config: { prometheus_listen_addr: '127.0.0.1:0' } });
  gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
  });
  const line = gitaly.log.find(({ msg }) => msg === 'starting prometheus listener');
  ports = {
    gateway: Number(new URL(gateway.url).port),
    monitoring: Number(String(line?.address).split(':').at(-1)),
  };
});

after(async () => {
  await gateway.close();
  await gitaly.close();
});

/** Sends bytes. Returns all that comes until the connection ends. */
async function exchange(port: number, bytes: string): Promise<{ text: string; isClosed: boolean }> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
  });
  socket.on('error', () => {}); // a reset; `close` follows
  socket.on('close', () => resolve(true));
  const timer = setTimeout(() => resolve(false), LIMIT_MS);
  socket.write(bytes);
  const isClosed = await promise;
  clearTimeout(timer);
  socket.destroy();
  return { text, isClosed };
}

for (const listener of ['gateway', 'monitoring'] as const) {
  for (const [name, request] of Object.entries(AMBIGUOUS)) {
    test(`${listener}: a request with ${name} gets 400, and its connection ends`, async () => {
      const { text, isClosed } = await exchange(ports[listener], request + SECOND);

      assert.match(text, /^HTTP\/1\.1 400 /);
      assert.equal(text.match(/HTTP\/1\.1 \d/g)?.length, 1, 'the bytes behind it are no request');
      assert.ok(isClosed, 'the connection stays open');
    });
  }
}

test('a chunked request is served', async () => {
  const { text } = await exchange(
    ports.gateway,
    `${HEAD}Transfer-Encoding: chunked\r\nConnection: close\r\n${END}`,
  );

  assert.match(text, /^HTTP\/1\.1 (?:404|415) /);
});
