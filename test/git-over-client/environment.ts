import { join } from 'node:path';
import { moduleOptions } from '#testkit/programs/program-command';

const SSH = join(import.meta.dirname, 'ssh.ts');

/**
 * Returns the environment in which git reaches `ssh://host/NAME.git` with the client library, on
 * the server at an address.
 */
export function gitOverClient(
  address: string,
  { withSidechannel = false }: { readonly withSidechannel?: boolean } = {},
): Record<string, string> {
  const words = [process.execPath, ...moduleOptions(), SSH].map((word) => `"${word}"`);
  return {
    GIT_SSH_COMMAND: words.join(' '),
    GIT_SSH_VARIANT: 'ssh',
    GITALY_ADDRESS: address,
    WITH_SIDECHANNEL: withSidechannel ? '1' : '0',
  };
}
