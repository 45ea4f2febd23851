import { join } from 'node:path';

/** Certificate of the tests' TLS listeners, for `localhost` and `127.0.0.1`. */
export const TEST_CERTIFICATE = join(import.meta.dirname, 'fixtures/tls-certificate.pem');
export const TEST_KEY = join(import.meta.dirname, 'fixtures/tls-key.pem');
/** A certificate for the same key and names, from a certificate authority that nothing trusts. */
export const TEST_ISSUED_CERTIFICATE = join(import.meta.dirname, 'fixtures/tls-issued-certificate.pem');
