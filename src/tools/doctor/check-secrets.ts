import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { systemErrorText } from '#base/system-error';
import type { GitalyConfig } from '#platform/config/load-config';
import { type Finding, failure, ok, warning } from './finding.ts';

const SOON_MS = 14 * 24 * 60 * 60 * 1000;
const FOR_OTHERS = 0o077;

/** Whether files with secrets are for their owner alone, and how long the certificate holds. */
export async function* checkSecrets(
  config: GitalyConfig,
  configPath: string,
  now = new Date(),
): AsyncGenerator<Finding, void, undefined> {
  const { auth, tls } = config;
  if (auth.token === undefined || auth.token.reveal() === '') {
    if (config.listenAddr || config.tlsListenAddr) {
      yield warning('token', 'there is none: everybody who reaches the ports can do everything', 'Set token_file in [auth].');
    }
  } else if (auth.tokenFile) yield await checkMode('token', auth.tokenFile);
  else yield await checkMode('token', configPath);
  if (tls.keyPath) yield await checkMode('tls key', tls.keyPath);
  if (tls.certificatePath) yield await checkCertificate(tls.certificatePath, now);
}

async function checkMode(subject: string, path: string): Promise<Finding> {
  try {
    const { mode } = await stat(path);
    const octal = `0${(mode & 0o777).toString(8)}`;
    if ((mode & FOR_OTHERS) === 0) return ok(subject, `${path} has mode ${octal}`);
    return warning(subject, `${path} has mode ${octal}: others can read the secret`, `chmod 600 ${path}`);
  } catch (error) {
    return failure(subject, `${path}: ${systemErrorText(error)}`, 'Put the file there, or change the configuration.');
  }
}

async function checkCertificate(path: string, now: Date): Promise<Finding> {
  try {
    const { validToDate } = new X509Certificate(await readFile(path));
    const text = `${path} holds until ${validToDate.toISOString().slice(0, 10)}`;
    if (validToDate <= now) return failure('certificate', text, 'Renew it: clients refuse it.');
    if (validToDate.getTime() - now.getTime() < SOON_MS) return warning('certificate', text, 'Renew it soon.');
    return ok('certificate', text);
  } catch (error) {
    return failure('certificate', `${path}: ${systemErrorText(error)}`, 'Put a certificate in PEM form there.');
  }
}
