import { statSync } from 'node:fs';
import { formatGoDuration } from '#base/go/duration';
import type { Secret } from '#base/secret';
import { ascending, atLeast, type ConfigProblem, fileExists, keyPairProblem, Problems } from './checks.ts';

// Checks of tables that the configurations of gitaly and praefect share. Keys are relative.

interface PrometheusConfig {
  readonly scrapeTimeoutMs: number;
  readonly grpcLatencyBuckets: readonly number[];
}

interface AuthConfig {
  readonly token: Secret | undefined;
  readonly tokenFile: string | undefined;
}

interface TlsConfig {
  readonly certificatePath: string | undefined;
  readonly keyPath: string | undefined;
  readonly key: Secret | undefined;
}

export function prometheusProblems(values: PrometheusConfig): readonly ConfigProblem[] {
  const problems = new Problems();
  if (values.grpcLatencyBuckets.length === 0) return [];
  return problems
    .add(atLeast(values.scrapeTimeoutMs, 0, formatGoDuration), 'scrape_timeout')
    .add(ascending(values.grpcLatencyBuckets), 'grpc_latency_buckets').list;
}

export function authProblems(values: AuthConfig): readonly ConfigProblem[] {
  const problems = new Problems();
  if (values.tokenFile === undefined) return [];
  if (values.token !== undefined)
    return problems.add('token and token_file are mutually exclusive', 'token', 'token_file').list;
  problems.add(fileExists(values.tokenFile), 'token_file');
  const mode = statSync(values.tokenFile, { throwIfNoEntry: false })?.mode;
  const permissions = mode === undefined ? 0o600 : mode & 0o777;
  if (permissions !== 0o600 && permissions !== 0o400) {
    const octal = permissions.toString(8).padStart(4, '0');
    problems.add(`file permission ${octal} is too permissive, should be 0600 or 0400`, 'token_file');
  }
  return problems.list;
}

export function tlsProblems(values: TlsConfig): readonly ConfigProblem[] {
  const problems = new Problems();
  const { certificatePath = '', key, keyPath } = values;
  if (certificatePath === '' && keyPath === undefined && key === undefined) return [];
  if (keyPath !== undefined && key !== undefined)
    return problems.add('key_path and key cannot both be set', 'key_path', 'key').list;
  const noCertificate = fileExists(certificatePath);
  const noKey = key === undefined ? fileExists(keyPath ?? '') : undefined;
  problems.add(noCertificate, 'certificate_path').add(noKey, 'key_path');
  if (noCertificate !== undefined || noKey !== undefined) return problems.list;
  const pair = keyPairProblem(certificatePath, key === undefined ? { path: keyPath ?? '' } : { pem: key });
  const field = pair?.includes('in certificate input')
    ? 'certificate_path'
    : key === undefined
      ? 'key_path'
      : 'key';
  return problems.add(pair, field).list;
}
