import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { wrap } from '#base/gitaly-error';
import { privateKeyPem } from '#base/go/private-key-pem';

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
