import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import tls, { rootCertificates } from 'node:tls'; // see check-node.ts

/**
 * Returns the certificates (PEM) that a TLS connection trusts by default: the system's, those of
 * `SSL_CERT_FILE` and every file of `SSL_CERT_DIR`, on every platform. A machine without a
 * certificate store uses the list built into Node.
 *
 * @throws the system's error when the file or the directory in the environment cannot be read.
 */
export async function trustedCertificates(environment: NodeJS.ProcessEnv = process.env): Promise<string[]> {
  const named = [
    ...(await readCertificateFile(environment.SSL_CERT_FILE)),
    ...(await readCertificateDirectory(environment.SSL_CERT_DIR)),
  ];
  const system = tls.getCACertificates('system');
  return [...(system.length > 0 ? system : rootCertificates), ...named];
}

async function readCertificateFile(path: string | undefined): Promise<string[]> {
  return path === undefined || path === '' ? [] : [await readFile(path, 'utf8')];
}

async function readCertificateDirectory(path: string | undefined): Promise<string[]> {
  if (path === undefined || path === '') return [];
  const entries = await readdir(path, { withFileTypes: true });
  const files = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => readFile(join(path, entry.name), 'utf8'));
  const texts = await Promise.all(files);
  return texts.filter((text) => text.includes('-----BEGIN'));
}
