/** Programs of HTTP/2 that others wrote: h2spec, and clients that then call the same server. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startHttpGateway, storageMapping } from '#gateway/index';
import { TEST_CERTIFICATE, TEST_KEY } from '#testkit/fixtures/test-certificate';
import { goProgram } from '#testkit/programs/go-program';
import { javaLibraries } from '#testkit/programs/java-libraries';
import { pythonWithGrpc } from '#testkit/programs/python-with';
import { run, runBytes } from '#testkit/run-program';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { assertConforms, WITHOUT_H2SPEC } from './h2spec.ts';

const CALL = '/grpc.health.v1.Health/Check';
const HEADERS = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
/** A message without fields. */
const REQUEST = Buffer.alloc(5);
/** A message with the status SERVING. */
const RESPONSE = Buffer.of(0, 0, 0, 0, 2, 8, 1);

/** The part of `curl --version` that names HTTP/2. */
const curlFeatures = spawnSync('curl', ['--version']).stdout?.toString() ?? '';
const NO_CURL = /^Features:.* HTTP2\b/m.test(curlFeatures) ? false : 'there is no curl with HTTP/2';
const NO_NGHTTP =
  spawnSync('nghttp', ['--version']).error === undefined ? false : 'there is no nghttp on this machine';
const grpcGo = await goProgram(join(import.meta.dirname, '../peers-go'));
const PEERS_JAVA = join(import.meta.dirname, '../peers-java');
const grpcJava = await javaLibraries(PEERS_JAVA);
const grpcC = await pythonWithGrpc();
const CHECK_IN_PYTHON = `
import grpc, sys
address, *certificate = sys.argv[1:]
channel = grpc.insecure_channel(address)
if certificate:
    with open(certificate[0], 'rb') as file:
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()))
print(list(channel.unary_unary('${CALL}')(b'', timeout=30)))
`;

let gitaly: TestGitaly;
let request: string;
before(async () => {
  gitaly = await startGitaly({ tcp: true, tls: true });
  request = join(gitaly.directory, 'request');
  writeFileSync(request, REQUEST);
});
after(() => gitaly.close());

type Transport = 'tcp' | 'tls';
const TRANSPORTS = ['tcp', 'tls'] as const;

function hostOf(transport: Transport): string {
  return new URL(gitaly.addresses[transport] ?? '').host;
}

/** Returns the URL of the call on a port. */
function callOn(transport: Transport): string {
  return `${transport === 'tcp' ? 'http' : 'https'}://${hostOf(transport)}${CALL}`;
}

for (const transport of TRANSPORTS) {
  test(`the port of ${transport} passes h2spec but for the listed cases`, { skip: WITHOUT_H2SPEC }, () => {
    const port = hostOf(transport).split(':').at(-1) ?? '';

    return assertConforms(port, transport === 'tls' ? ['--tls', '--insecure'] : []);
  });
}

for (const transport of TRANSPORTS) {
  test(`nghttp gets a message and the trailers over ${transport}`, { skip: NO_NGHTTP }, async () => {
    const args = ['--data', request, ...HEADERS, callOn(transport)];
    const { code, stdout } = await runBytes('nghttp', args);
    const { stdout: frames } = await run('nghttp', ['--verbose', '--null-out', ...args]);

    assert.equal(code, 0);
    assert.deepEqual(stdout, RESPONSE);
    assert.match(frames, /:status: 200\n[\s\S]*recv DATA frame [\s\S]*grpc-status: 0\n[\s\S]*END_STREAM/);
  });

  test(`curl gets a message and the trailers over ${transport}`, { skip: NO_CURL }, async () => {
    const trailers = join(gitaly.directory, `headers-${transport}`);
    const args = ['--silent', '--show-error', '--http2-prior-knowledge', '--cacert', TEST_CERTIFICATE];
    const message = ['--dump-header', trailers, '--data-binary', `@${request}`, ...HEADERS];
    const { code, stdout, stderr } = await runBytes('curl', [...args, ...message, callOn(transport)]);

    assert.equal(code, 0, stderr.toString());
    assert.deepEqual(stdout, RESPONSE);
    assert.match(readFileSync(trailers, 'latin1'), /^HTTP\/2 200 [\s\S]*\r\n\r\ngrpc-status: 0\r\n/);
  });
}

for (const transport of TRANSPORTS) {
  /** The arguments of the programs below. */
  const target = () => [hostOf(transport), ...(transport === 'tls' ? [TEST_CERTIFICATE] : [])];

  test(`grpc-java gets a message and the trailers over ${transport}`, {
    skip: grpcJava === undefined && 'there is no JDK with Maven',
  }, async () => {
    const program = join(PEERS_JAVA, 'HealthCheck.java');
    const { stdout, stderr } = await run('java', ['-cp', grpcJava ?? '', program, ...target()]);

    assert.equal(stdout, '[8, 1]\n', stderr);
  });

  test(`gRPC's C core gets a message and the trailers over ${transport}`, {
    skip: grpcC === undefined && 'grpcio cannot be installed',
  }, async () => {
    const { stdout, stderr } = await run(grpcC ?? '', ['-c', CHECK_IN_PYTHON, ...target()]);

    assert.equal(stdout, '[8, 1]\n', stderr);
  });
}

test('grpc-go gets a message and the trailers', {
  skip: grpcGo === undefined && 'Go is not installed',
}, async () => {
  const socket = gitaly.address.replace('unix:', '');
  const { code, stdout } = await run(grpcGo ?? '', [
    ...['-role', 'client', '-case', 'health'],
    ...['-socket', socket],
  ]);

  assert.equal(code, 0, stdout);
});

test('the HTTP gateway speaks HTTP/1.1 alone, so that h2spec is not for it', { skip: NO_CURL }, async () => {
  await using gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    tls: { certificatePath: TEST_CERTIFICATE, keyPath: TEST_KEY },
  });
  const args = ['--silent', '--http2', '--cacert', TEST_CERTIFICATE, '--write-out', '%{http_version}'];

  const { stdout } = await run('curl', [...args, '--output', '/dev/null', gateway.url]);

  assert.equal(stdout, '1.1');
});
