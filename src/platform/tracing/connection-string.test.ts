import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTracing, type TracingSettings } from './connection-string.ts';

const GRPC: TracingSettings = {
  protocol: 'grpc',
  endpoint: 'localhost:1234',
  isInsecure: true,
  ratio: 0.001,
  headers: {},
};

const GOOD: readonly (readonly [string, Partial<TracingSettings>])[] = [
  ['otlp-grpc://localhost:1234', {}],
  ['otlp-grpc://localhost:1234?header^API-KEY=my-key', { headers: { 'API-KEY': 'my-key' } }],
  ['otlp-http://localhost:1234?header%5EA=1&header^B=2', { protocol: 'http', headers: { A: '1', B: '2' } }],
  ['otlp-http://[::1]:4318?insecure=false', { protocol: 'http', endpoint: '[::1]:4318', isInsecure: false }],
  ['otlp-grpc://localhost:1234?insecure=true&sampler_param=1', { ratio: 1 }],
  ['otlp-grpc://localhost:1234?sampler_param=', {}],
  ['OTLP-GRPC://localhost:1234?sampler_param=0', { ratio: 0 }],
  ['opentracing://jaeger?sampler=const&sampler_param=0.76', { endpoint: 'localhost:4317', ratio: 0.76 }],
  ['opentracing://jaeger?udp_endpoint=agent:6831', { endpoint: 'agent:4317' }],
  ['opentracing://lightstep?udp_endpoint=nonsense', { endpoint: 'localhost:4317' }],
];

for (const [text, expected] of GOOD) {
  test(`reads ${text}`, () => {
    assert.deepEqual(parseTracing(text), { ...GRPC, ...expected });
  });
}

const BAD = [
  ['', 'invalid configuration: empty connection string'],
  ['localhost', 'invalid configuration: no protocol specified in connection string'],
  ['something://x', 'invalid configuration: unsupported protocol (something)'],
  ['otlp-grpc://', 'invalid configuration: no endpoint specified in connection string'],
  [
    'otlp-http://localhost',
    'invalid configuration: invalid endpoint format "localhost": address localhost: missing port in address',
  ],
  ['opentracing://', 'invalid configuration: no provider specified in opentracing connection string'],
  [
    'otlp-grpc://a:1?insecure=flase',
    'invalid configuration: insecure option must be a boolean value: strconv.ParseBool: parsing "flase": ' +
      'invalid syntax',
  ],
  [
    'otlp-grpc://a:1?sampler_param=all',
    'invalid configuration: sampler_param must be a float value: strconv.ParseFloat: parsing "all": ' +
      'invalid syntax',
  ],
  [
    'otlp-grpc://a:1?sampler_param=1.5',
    "sampler_param is '1.5' but must be a float value between 0.0 and 1.0",
  ],
  [
    'opentracing://stackdriver',
    'invalid configuration: stackdriver is not supported; send to a collector by OTLP',
  ],
] as const;

for (const [text, message] of BAD) {
  test(`refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseTracing(text), { message });
  });
}
