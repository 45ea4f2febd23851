import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STATUS_CODES } from '#base/gitaly-error';
import { accessLogFilter, accessLogLevel, localTimestamps, roundedMs } from './access-log.ts';

test('the level of an access line depends on the status', () => {
  const levels = {
    info: ['OK', 'CANCELLED', 'INVALID_ARGUMENT', 'NOT_FOUND', 'ALREADY_EXISTS', 'UNAUTHENTICATED'],
    warn: [
      'DEADLINE_EXCEEDED',
      'PERMISSION_DENIED',
      'RESOURCE_EXHAUSTED',
      'FAILED_PRECONDITION',
      'ABORTED',
      'OUT_OF_RANGE',
    ],
    error: ['UNKNOWN', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS'],
  };

  // Gitaly 19.0: internal/log/middleware.go.
  assert.deepEqual({ ...Object.groupBy(STATUS_CODES, accessLogLevel) }, levels);
});

test('timestamps of the access log are local, without a zone', () => {
  const format = localTimestamps();
  const time = new Date(2026, 10, 20, 8, 43, 39, 7).getTime();

  assert.deepEqual(
    [time, time + 992, time + 993, time].map(format),
    ['39.007', '39.999', '40.000', '39.007'].map((second) => `2026-11-20T08:43:${second}`),
  );
});

test('durations have at most three decimals', () => {
  assert.deepEqual([0.11149, 6.371, 3.8300001, 5].map(roundedMs), [0.111, 6.371, 3.83, 5]);
});

test('health checks are not logged unless a pattern matches them', async () => {
  const byDefault = await accessLogFilter({});
  const deny = await accessLogFilter({ GITALY_LOG_REQUEST_METHOD_DENY_PATTERN: 'Find' });
  const allow = await accessLogFilter({
    GITALY_LOG_REQUEST_METHOD_ALLOW_PATTERN: 'Find',
    GITALY_LOG_REQUEST_METHOD_DENY_PATTERN: '.',
  });

  const methods = [
    '/grpc.health.v1.Health/Check',
    '/gitaly.CommitService/FindCommit',
    '/gitaly.BlobService/GetBlob',
  ];
  assert.deepEqual(methods.map(byDefault), [false, true, true]);
  assert.deepEqual(methods.map(deny), [true, false, true]);
  assert.deepEqual(methods.map(allow), [false, true, false]);
});
