import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, type Stats, statSync } from 'node:fs';
import { messageOf } from '#base/gitaly-error';
import { parseUrl, urlProblem } from '#base/go/net/url';
import { privateKeyPem } from '#base/go/private-key-pem';
import { quote } from '#base/go/quote';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import { isError } from '#base/is-error';
import type { Secret } from '#base/secret';
import type { KeyPath } from './toml-position.ts';

/** An invalid value: its key, and the error text of Gitaly's `configuration validate`. */
export interface ConfigProblem {
  /**
   * Key path; an index in a list is `[0]`. Two keys of one table if they contradict each other.
   */
  readonly key: readonly string[];
  readonly message: string;
}

/** Returns the path of a problem's key: `[0]` becomes 0. */
export function keyPathOf(key: readonly string[]): KeyPath {
  return key.map((part) => (/^\[\d+\]$/.test(part) ? Number(part.slice(1, -1)) : part));
}

/** Collects problems under a key prefix. Checks return a message or `undefined`. */
export class Problems {
  readonly list: ConfigProblem[] = [];

  add(message: string | undefined, ...key: readonly string[]): this {
    if (message !== undefined) this.list.push({ key, message });
    return this;
  }

  /** Adds problems with keys that are relative to a table. */
  addAll(problems: readonly ConfigProblem[], table: string): this {
    for (const { key, message } of problems) this.add(message, table, ...key);
    return this;
  }
}

export function directoryExists(path: string): string | undefined {
  return statProblem(path, (stats) => (stats.isDirectory() ? undefined : `not a dir: ${quote(path)}`));
}

export function fileExists(path: string): string | undefined {
  return statProblem(path, (stats) => (stats.isDirectory() ? `not a file: ${quote(path)}` : undefined));
}

function statProblem(path: string, check: (stats: Stats) => string | undefined): string | undefined {
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (error) {
    return systemErrorCode(error) === 'ENOENT'
      ? `doesn't exist: ${quote(path)}`
      : `stat ${path}: ${systemErrorText(error)}`;
  }
  return check(stats);
}

export function notBlank(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? 'blank or empty' : undefined;
}

type Show = (value: number) => string;

export function atLeast(value: number, minimum: number, show: Show = String): string | undefined {
  return value >= minimum
    ? undefined
    : `not in range: ${show(value)} is not greater than or equal to ${show(minimum)}`;
}

export function greaterThan(value: number, bound: number): string | undefined {
  return value > bound ? undefined : `not in range: ${value} is not greater than ${bound}`;
}

export function within(
  value: number,
  minimum: number,
  maximum: number,
  show: Show = String,
): string | undefined {
  if (value >= minimum && value <= maximum) return undefined;
  return `not in range: ${show(value)} out of [${show(minimum)}, ${show(maximum)}]`;
}

export function natural(value: number): string | undefined {
  return value < 0 ? `not supported: ${value}` : undefined;
}

export function ascending(values: readonly number[]): string | undefined {
  const sorted = values.every((value, index) => index === 0 || value >= (values[index - 1] ?? value));
  return sorted ? undefined : `bad order: expected asc: [${values.join(' ')}]`;
}

const GIT_KEY = /^[A-Za-z0-9]+(\.[*\-/_:@a-zA-Z0-9]+)+$/;

export function gitConfigKey(key: string): string | undefined {
  if (key === '') return 'not set';
  if (key.includes('=')) return `key ${quote(key)} cannot contain "="`;
  if (!key.includes('.')) return `key ${quote(key)} must contain at least one section`;
  if (key.startsWith('.') || key.endsWith('.')) return `key ${quote(key)} must not start or end with a dot`;
  return GIT_KEY.test(key) ? undefined : `key ${quote(key)} failed regexp validation`;
}

/** Returns the problem of a certificate and its key, with the text of Go's TLS library. */
export function keyPairProblem(
  certificatePath: string,
  key: { path: string } | { pem: Secret },
): string | undefined {
  try {
    const certificate = readFileSync(certificatePath, 'utf8');
    const pem = 'path' in key ? readFileSync(key.path, 'utf8') : key.pem.reveal();
    const mixedUp = missingBlock(certificate, pem);
    if (mixedUp !== undefined) return `loading x509 keypair: tls: ${mixedUp}`;
    if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKeyPem(pem)))) {
      return 'loading x509 keypair: tls: private key does not match public key';
    }
    return undefined;
  } catch (error) {
    return `loading x509 keypair: ${openProblem(error)}`;
  }
}

function missingBlock(certificate: string, key: string): string | undefined {
  if (!certificate.includes('-----BEGIN ')) return 'failed to find any PEM data in certificate input';
  if (!certificate.includes('-----BEGIN CERTIFICATE-----') && certificate.includes(' PRIVATE KEY-----'))
    return (
      'failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs ' +
      'may have been switched'
    );
  if (!key.includes('-----BEGIN ')) return 'failed to find any PEM data in key input';
  return key.includes('PRIVATE KEY-----') || !key.includes('-----BEGIN CERTIFICATE-----')
    ? undefined
    : 'found a certificate rather than a key in the PEM for the private key';
}

/**
 * Returns `open PATH: no such file or directory` for a failed read, otherwise the error's own
 * message.
 */
export function openProblem(error: unknown): string {
  if (systemErrorCode(error) === undefined) return messageOf(error);
  const path = isError(error) && 'path' in error ? String(error.path) : '';
  return `open ${path}: ${systemErrorText(error)}`;
}

/** Checks the name of a storage of references. */
export function refFormat(format: string): string | undefined {
  return format === 'files' || format === 'reftable' ? undefined : `not supported: ${quote(format)}`;
}

/** Checks a version of the interface: 15.0 is the oldest that this server speaks. */
export function clientVersion(version: string): string | undefined {
  const [, major] = /^(\d+)\.\d+$/.exec(version) ?? [];
  return major !== undefined && Number(major) >= 15 ? undefined : `not supported: ${quote(version)}`;
}

const BUCKET_SCHEMES = ['file', 'mem', 's3', 'gs', 'azblob'];

/** Returns the problem of a bucket: a path, or a URL. The text before a last `+` is an option of Gitaly. */
export function bucketUrlProblem(url: string): string | undefined {
  const problem = urlProblem(url);
  if (problem !== undefined) return problem;
  const scheme = parseUrl(url)?.scheme.split('+').at(-1);
  if (scheme === undefined || BUCKET_SCHEMES.includes(scheme)) return undefined;
  const expected = `${BUCKET_SCHEMES.slice(0, -1).join(', ')} or ${BUCKET_SCHEMES.at(-1)}`;
  return `unsupported sink URI scheme: ${quote(scheme)}, expected ${expected}`;
}

/** Returns the problem of an HTTP address, without repeating it: it may contain a secret. */
export function httpUrlProblem(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return 'must be an http:// or https:// URL';
  return url.username !== '' || url.password !== '' ? 'must not contain a user or a password' : undefined;
}
