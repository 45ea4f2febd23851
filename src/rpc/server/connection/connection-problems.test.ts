import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { gitalyMetrics } from '#platform/metrics/gitaly-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { YamuxError } from '#rpc/common/yamux/yamux-error';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { connectionProblems } from './connection-problems.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** An empty SETTINGS frame, then a DATA frame on stream 0: a connection error (RFC 9113, 6.1). */
const BROKEN = Buffer.concat([
  Buffer.from(PREFACE),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
  Buffer.from([0, 0, 1, 0, 0, 0, 0, 0, 0, 0x78]),
]);

test('a connection that ends with an error is logged and counted', async () => {
  await using gitaly = await startGitaly({ tcp: true, config: { prometheus_listen_addr: '127.0.0.1:0' } });
  const [, host = '', port] = /^tcp:\/\/(.*):(\d+)$/.exec(gitaly.addresses.tcp ?? '') ?? [];
  const socket = connect(Number(port), host, () => socket.write(BROKEN)).on('error', () => {});

  await until(() => lineOf('connection ended with an error') !== undefined, 'nothing is logged');

  const line = lineOf('connection ended with an error');
  assert.equal(line?.level, 'warning');
  assert.equal(line?.schema, 'tcp');
  assert.match(String(line?.address), /^127\.0\.0\.1:\d+$/);
  assert.match(String(line?.error), /protocol error/i);
  const monitoring = String(lineOf('starting prometheus listener')?.address);
  const metrics = await (await fetch(`http://${monitoring}/metrics`)).text();
  assert.match(metrics, /^gitaly_connection_errors_total\{stage="session",type="tcp"\} 1$/m);
  socket.destroy();

  function lineOf(message: string): Record<string, unknown> | undefined {
    return gitaly.log.find(({ msg }) => msg === message);
  }
});

for (const [code, errno, isLogged] of [
  ['ECONNRESET', -104, false],
  ['EPIPE', -32, false],
  ['ETIMEDOUT', -110, true],
] as const) {
  test(`a connection that ends with ${code} is counted, and ${isLogged ? 'a warning' : 'not logged'}`, () => {
    const { lines, registry, problems } = arrange();
    const cut = Object.assign(new Error(`read ${code}`), { code, errno });

    problems.onConnectionError(cut, { transport: 'unix', address: '', backchannelId: undefined });

    assert.equal(lines.length, isLogged ? 1 : 0);
    if (isLogged) assert.match(lines.join(''), /level=warn.*connection ended with an error/);
    assert.match(registry.render('text'), /stage="session",type="unix"\} 1$/m);
  });
}

test('the connection that breaks below a multiplexer is an error like any other', () => {
  const { lines, registry, problems } = arrange();
  const broken = new YamuxError('protocol', 'invalid frame');

  problems.onConnectionError(broken, { transport: 'tcp', address: '1.2.3.4:5', backchannelId: 1 });

  assert.match(lines.join(''), /address="?1\.2\.3\.4:5"? .*invalid frame|invalid frame.*1\.2\.3\.4:5/);
  assert.match(registry.render('text'), /stage="session",type="tcp"\} 1$/m);
});

test('the end of a multiplexed connection is no error', () => {
  const { lines, registry, problems } = arrange();
  const ended = new YamuxError('session-closed', 'session shutdown');

  problems.onConnectionError(ended, { transport: 'unix', address: '', backchannelId: 1 });

  assert.deepEqual(lines, []);
  assert.equal(registry.render('text').includes('stage="session"'), false);
});

test('a connection that cannot be accepted is logged and counted', () => {
  const { lines, registry, problems } = arrange();

  problems.onAcceptError(new Error('accept EMFILE'), 'tls');

  assert.match(lines.join(''), /connection could not be accepted.*accept EMFILE/);
  assert.match(registry.render('text'), /stage="accept",type="tls"\} 1$/m);
});

function arrange() {
  const lines: string[] = [];
  const registry = new MetricsRegistry();
  const logger = createLogger({
    format: 'text',
    level: 'info',
    stream: { write: (line) => lines.push(line) },
  });
  return { lines, registry, problems: connectionProblems({ callers: gitalyMetrics(registry) }, logger) };
}
