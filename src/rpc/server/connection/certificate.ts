import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { GitalyError, messageOf, wrap } from '#base/gitaly-error';
import { privateKeyPem } from '#base/go/private-key-pem';
import { systemErrorText } from '#base/go/system-error';
import type { Secret } from '#base/secret';
import type { TlsVersion } from '#platform/config/keys';
import { type FollowedFiles, followFiles } from '#platform/files/follow-files';
import { ReloadedFiles } from '#platform/files/reloaded-files';
import type { Logger } from '#platform/log/logger';
import type { Listener } from './listener.ts';

/** `[tls]` of a configuration: the key is in a file, or in the configuration itself. */
export interface CertificateConfig {
  readonly certificatePath: string | undefined;
  readonly keyPath: string | undefined;
  readonly key: Secret | undefined;
  readonly minVersion: TlsVersion;
}

/**
 * Reads the configured certificate and its key.
 *
 * @throws {GitalyError} INTERNAL with Go's text when they cannot be read or used.
 */
export function readCertificate(tls: CertificateConfig): SecureContextOptions {
  return serverTls(tls, certificatePaths(tls).map(readPem));
}

/**
 * Renews the certificate of the TLS listener when its files change. Open connections keep the old
 * one. Returns `undefined` if there is no TLS listener.
 */
export async function followCertificate(
  tls: CertificateConfig,
  listeners: readonly Listener[],
  logger: Logger,
): Promise<FollowedFiles | undefined> {
  if (!listeners.some(({ transport }) => transport === 'tls')) return undefined;
  const certificate = tls.certificatePath;
  const files = await ReloadedFiles.open({
    paths: certificatePaths(tls),
    parse: (contents) => serverTls(tls, contents),
    onProblem: (error) =>
      logger.error(
        { error: messageOf(error), certificate },
        'the changed TLS certificate cannot be used; the previous one stays in use',
      ),
  });
  return await followFiles(files, (renewed) => {
    for (const listener of listeners) listener.renewTls(renewed);
    logger.info({ certificate }, 'TLS certificate renewed');
  });
}

/**
 * Returns the paths of the certificate, and of the key unless the configuration contains the key
 * itself.
 */
function certificatePaths({ certificatePath = '', key, keyPath = '' }: CertificateConfig): string[] {
  return key?.reveal() ? [certificatePath] : [certificatePath, keyPath];
}

function serverTls(tls: CertificateConfig, contents: readonly Buffer[]): SecureContextOptions {
  const [certificate = '', key = tls.key?.reveal() ?? ''] = contents;
  return createServerTls({
    certificate,
    key,
    minVersion: tls.minVersion === 'TLS 1.3' ? 'TLSv1.3' : 'TLSv1.2',
  });
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const why = `open ${path}: ${systemErrorText(error)}`;
    throw new GitalyError(
      'INTERNAL',
      `error reading certificate and key paths: loading x509 keypair: ${why}`,
      { cause: error },
    );
  }
}

/** Go's list of cipher suites without known problems; all have forward secrecy. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-SHA',
  'ECDHE-RSA-AES128-SHA',
  'ECDHE-ECDSA-AES256-SHA',
  'ECDHE-RSA-AES256-SHA',
].join(':');

export interface ServerCertificate {
  /** Certificate chain, PEM. */
  readonly certificate: string | Buffer;
  /** Private key of its first certificate, PEM. */
  readonly key: string | Buffer;
  /** Default `TLSv1.2`. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
}

/**
 * Returns the TLS settings of a listener from PEM text. Also used to renew the certificate of a
 * running listener.
 * @throws {GitalyError} INTERNAL `error reading certificate and key paths: loading x509 keypair: …`
 */
export function createServerTls(certificate: ServerCertificate): SecureContextOptions {
  const options: SecureContextOptions = {
    cert: certificate.certificate,
    key: privateKeyPem(certificate.key),
    minVersion: certificate.minVersion ?? 'TLSv1.2',
    ciphers: CIPHERS,
    honorCipherOrder: true,
  };
  try {
    createSecureContext(options);
  } catch (error) {
    throw wrap(error, 'error reading certificate and key paths: loading x509 keypair');
  }
  return options;
}
