import { GITALY_SERVERS } from '#rpc/common/header-names';
import type { HostileValue } from './hostile-values.ts';
import type { Sandbox } from './sandbox.ts';

/** Keys of metadata that the server reads, and some that it must not take for its own. */
export const METADATA_KEYS = [
  'authorization',
  'x-gitlab-correlation-id',
  'x-gitlab-client-name',
  'client_name',
  'call_site',
  'deadline_type',
  'remote_ip',
  'user_id',
  'username',
  'key_id',
  'key_type',
  'gitaly-feature-',
  'gitaly-feature-mailmap-options',
  'gitaly-client-context-bin',
  'gitaly-sidechannel-id',
  'gitaly-sidechannel-socket',
  'gitaly-reference-transaction',
  GITALY_SERVERS,
  'gitaly-route-repository-accessor-policy',
  'relative-path-bin',
  'grpc-timeout',
  'grpc-encoding',
  'grpc-accept-encoding',
  'grpc-status-details-bin',
  'traceparent',
  'uber-trace-id',
  'host',
  'te',
] as const;

/** Longer ones are refused with the whole connection, which other calls use. */
const MAX_BYTES = 4000;
const NOT_PRINTABLE = /[^\x20-\x7e]/g;

/** Returns the values for one key: those that only it could misunderstand, then those for any text. */
export function metadataValues(
  key: string,
  sandbox: Sandbox,
  texts: readonly HostileValue[],
): HostileValue[] {
  const isBinary = key.endsWith('-bin');
  const general = texts
    .map((value) => Buffer.from(value))
    .filter(({ length }) => length <= MAX_BYTES)
    .map((value) =>
      isBinary ? value : Buffer.from(value.toString('latin1').replaceAll(NOT_PRINTABLE, '?')),
    );
  return [...specialValues(key, sandbox), ...general];
}

function specialValues(key: string, { canaries, otherRepository, secretFile }: Sandbox): string[] {
  switch (key) {
    case 'authorization':
      return [
        'Bearer',
        'Bearer v2',
        'Bearer v2..',
        'Bearer v2.00.1',
        'Bearer v2.zz.1e99',
        'Basic eDp5',
        'bearer',
      ];
    case 'gitaly-sidechannel-id':
      return ['0', '-1', '1', '99999999', '18446744073709551616', '0x10', '1e3', ' 1'];
    case 'gitaly-sidechannel-socket':
      return [
        secretFile,
        '/dev/null',
        canaries,
        `${canaries}/none`,
        'relative',
        '/proc/self/fd/0',
        'x'.repeat(200),
      ];
    case 'gitaly-reference-transaction':
      return [
        '{}',
        'null',
        '[]',
        '{"id":1}',
        '{"id":-1,"node":"x","primary":true}',
        '{"id":1e99,"node":{},"primary":"x"}',
        '{"id":1,"node":"x","primary":true,"backchannel_id":9}',
        '{"__proto__":{"id":1}}',
        '\u{0}',
      ].map(base64);
    case GITALY_SERVERS:
      return [
        ...[
          '{}',
          'null',
          '[]',
          '{"default":null}',
          '{"default":{}}',
          '{"default":{"address":1}}',
          '{"__proto__":{}}',
        ],
        ...[
          'unix:/nowhere',
          `unix:${secretFile}`,
          `unix:${canaries}`,
          'tcp://127.0.0.1:1',
          'tls://127.0.0.1:1',
          'dns:///localhost:1',
          '--upload-pack=x',
          `ext::sh -c touch% ${canaries}/executed`,
          `file://${otherRepository}`,
          'tcp://-oProxyCommand=x:1',
          'tcp://',
          'x',
          '',
        ].map((address) => JSON.stringify({ default: { address, token: 'x' } })),
      ].map(base64);
    case 'grpc-timeout':
      return ['0n', '1n', '1u', '99999999H', '100000000S', '-1S', 'x', '1', 'S'];
    case 'grpc-encoding':
      return ['gzip', 'deflate', 'snappy', 'identity', 'gzip,gzip'];
    case 'remote_ip':
      return ['::1', '256.1.1.1', '10.0.0.1, 10.0.0.2'];
    default:
      return ['true', 'false', '1', ''];
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
