import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { Secret } from '#base/secret';
import { createLogger, type LoggerOptions, logLevel } from './logger.ts';

const TIME = new Date('2026-11-20T08:44:37.560Z');

function capture(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const stream = { write: (text: string) => lines.push(text) };
  const logger = createLogger({ format: 'text', level: 'info', stream, now: () => TIME, ...options });
  return { logger, lines };
}

test('a text line has time, level and message first, then the fields in order, quoted where needed', () => {
  const { logger, lines } = capture();

  logger.info(
    { path: '/srv/default/+gitaly/cache', disk_cache_path: 'a b', empty: '', n: 5, ok: true },
    'Starting file walker',
  );

  // Taken from Gitaly 19.0's own output.
  const expected =
    'time="2026-11-20T08:44:37.560Z" level=info msg="Starting file walker" ' +
    `disk_cache_path="a b" empty= n=5 ok=true path=/srv/default/+gitaly/cache pid=${process.pid}\n`;
  assert.deepEqual(lines, [expected]);
});

test('text lines format lists, maps and errors as Go does', () => {
  const { logger, lines } = capture();

  logger.error(
    { args: ['git', 'gc'], stats: { b: 1, a: 'x' }, error: new Error('could not open "x"') },
    'unclean Gitaly shutdown',
  );

  assert.match(
    lines[0] ?? '',
    /level=error msg="unclean Gitaly shutdown" args="\[git gc\]" error="could not open \\"x\\"" pid=\d+ stats="map\[a:x b:1\]"\n$/,
  );
});

test('a JSON line has all keys in order, including level, msg and time', () => {
  const { logger, lines } = capture({ format: 'json' });

  logger.warn(
    { zebra: 1, 'grpc.time_ms': 0.111, error_metadata: { z: 1n, a: ['x'] }, none: undefined, apple: 'x' },
    'hello',
  );

  const pid = process.pid;
  assert.equal(
    lines[0],
    '{"apple":"x","error_metadata":{"a":["x"],"z":1},"grpc.time_ms":0.111,"level":"warning",' +
      `"msg":"hello","pid":${pid},"time":"2026-11-20T08:44:37.560Z","zebra":1}\n`,
  );
});

test('JSON lines can be parsed back, including HTML and control characters', () => {
  const { logger, lines } = capture({ format: 'json' });

  logger.info(
    { error: '<a href="x">&\u2028\u0000', bytes: Buffer.from('hi'), msg: 'mine', level: 'my level' },
    'line\nbreak',
  );

  assert.doesNotMatch(lines[0] ?? '', /[<>&\u2028]/);
  assert.deepEqual(JSON.parse(lines[0] ?? ''), {
    error: '<a href="x">&\u2028\u0000',
    bytes: 'aGk=',
    'fields.msg': 'mine',
    'fields.level': 'my level',
    level: 'info',
    msg: 'line\nbreak',
    pid: process.pid,
    time: '2026-11-20T08:44:37.560Z',
  });
});

test('an error field is truncated at 1024 bytes, never inside a character', () => {
  const { logger, lines } = capture({ format: 'json' });

  logger.error({ error: new GitalyError('INTERNAL', 'x'.repeat(1024)) }, 'fits');
  logger.error({ error: `${'x'.repeat(1023)}é` }, 'does not');

  assert.equal(JSON.parse(lines[0] ?? '').error, 'x'.repeat(1024));
  assert.equal(JSON.parse(lines[1] ?? '').error, `${'x'.repeat(1023)}... (truncated)`);
});

test("lines below the level are not written, and a child adds its fields to its parent's", () => {
  const { logger, lines } = capture({ level: 'warn' });
  const child = logger.child({ component: 'a' }).child({ storage: 'default' });

  child.info('not written');
  child.debug({ x: 1 }, 'not written either');
  child.warn('written');

  assert.deepEqual(lines, [
    `time="2026-11-20T08:44:37.560Z" level=warning msg=written component=a pid=${process.pid} ` +
      'storage=default\n',
  ]);
  assert.equal(child.isEnabled('error'), true);
  assert.equal(child.isEnabled('info'), false);
});

test('credentials in URLs are masked for methods that take URLs', () => {
  const { logger, lines } = capture({ format: 'json' });
  const url = 'https://user:pa%20ss@example.com/x.git';

  logger.info(
    { 'grpc.method': 'FetchRemote', args: ['fetch', url], error: new Error(`cannot read ${url}`) },
    `from ${url}`,
  );
  logger.info({ 'grpc.method': 'FindCommit', error: url }, 'untouched');

  const line = JSON.parse(lines[0] ?? '');
  assert.deepEqual(line.args, ['fetch', 'https://[FILTERED]@example.com/x.git']);
  assert.equal(line.error, 'cannot read https://[FILTERED]@example.com/x.git');
  assert.equal(line.msg, 'from https://[FILTERED]@example.com/x.git');
  assert.equal(JSON.parse(lines[1] ?? '').error, url);
});

test('a secret in a field is not written', () => {
  const { logger, lines } = capture({ format: 'json' });
  const text = capture();

  logger.info({ token: new Secret('hunter2'), config: { token: new Secret('hunter2') } }, 'x');
  text.logger.info({ token: new Secret('hunter2'), config: { token: new Secret('hunter2') } }, 'x');

  assert.doesNotMatch(lines[0] ?? '', /hunter2/);
  assert.doesNotMatch(text.lines[0] ?? '', /hunter2/);
});

test('level names are case-insensitive, and warning means warn', () => {
  assert.deepEqual(['WARNING', 'warn', 'Trace', 'info'].map(logLevel), ['warn', 'warn', 'trace', 'info']);
});
