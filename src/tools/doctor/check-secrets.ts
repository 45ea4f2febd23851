import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { timeLeftMs } from '#base/async/time-left';
import { FOR_OTHERS } from '#base/files/for-others';
import { systemErrorText } from '#base/go/system-error';
import type { GitalyConfig } from '#platform/config/load-config';
import { type Finding, failure, ok, warning } from './finding.ts';

const SOON_MS = 14 * 24 * 60 * 60 * 1000;

/** Checks that files with secrets are private, and how long the certificate is valid. */
export async function* checkSecrets(
  config: GitalyConfig,
  configPath: string,
): AsyncGenerator<Finding, void, undefined> {
  const { auth, tls } = config;
  if (auth.token === undefined) {
    if (config.listenAddr || config.tlsListenAddr) {
      yield warning(
        'token',
        'there is no token: everybody who reaches the ports has full access',
        'Set token_file in [auth].',
      );
    }
  } else if (auth.tokenFile) yield await checkMode('token', auth.tokenFile);
  else yield await checkMode('token', configPath);
  if (tls.keyPath) yield await checkMode('tls key', tls.keyPath);
  if (tls.certificatePath) yield await checkCertificate(tls.certificatePath);
}

/** Checks that only the owner of a file can read it. */
export async function checkMode(subject: string, path: string): Promise<Finding> {
  try {
    const { mode } = await stat(path);
    const octal = `0${(mode & 0o777).toString(8)}`;
    if ((mode & FOR_OTHERS) === 0) return ok(subject, `${path} has mode ${octal}`);
    return warning(subject, `${path} has mode ${octal}: others can read the secret`, `chmod 600 ${path}`);
  } catch (error) {
    return failure(
      subject,
      `${path}: ${systemErrorText(error)}`,
      'Create the file, or change the configuration.',
    );
  }
}

/** Checks how long a certificate is valid. */
export async function checkCertificate(path: string): Promise<Finding> {
  try {
    const { validToDate } = new X509Certificate(await readFile(path));
    const text = `${path} is valid until ${validToDate.toISOString().slice(0, 10)}`;
    const leftMs = timeLeftMs(validToDate.getTime(), Date.now());
    if (leftMs === 0) return failure('certificate', text, 'Renew it: clients reject it.');
    if (leftMs < SOON_MS) return warning('certificate', text, 'Renew it soon.');
    return ok('certificate', text);
  } catch (error) {
    return failure(
      'certificate',
      `${path}: ${systemErrorText(error)}`,
      'Replace the file with a certificate in PEM form.',
    );
  }
}
