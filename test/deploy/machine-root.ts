import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const TOKEN_CONFIG = '/usr/local/libexec/gitaly/token-config';
export const TOKEN = 'a "token"';

/**
 * Lays out, below a directory, what a configuration in `deploy/` finds on its machine or in its
 * container, with the secret as engines mount it: readable for all. Returns the configuration's
 * path.
 */
export function layOutMachine(root: string, config: string): string {
  for (const folder of ['run/gitaly', 'run/secrets', 'var/lib/gitaly/repositories'])
    mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'run/secrets/gitaly_token'), `${TOKEN}\n`, { mode: 0o644 });
  const script = readFileSync(join(import.meta.dirname, '../../deploy/docker/token-config'), 'utf8');
  const command = join(root, 'token-config');
  writeFileSync(command, script.replace('/run/secrets', `${root}/run/secrets`), { mode: 0o755 });
  const path = join(root, 'config.toml');
  const text = config.replace(TOKEN_CONFIG, command).replaceAll(/"(\/(?:run|var)\/)/g, `"${root}$1`);
  writeFileSync(path, text);
  return path;
}
