import { join } from 'node:path';

/** Certificate of the tests' TLS listeners, for `localhost` and `127.0.0.1`. */
export const TEST_CERTIFICATE = join(import.meta.dirname, 'fixtures/tls-certificate.pem');
export const TEST_KEY = join(import.meta.dirname, 'fixtures/tls-key.pem');
