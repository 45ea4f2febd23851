import { checkNames } from '#base/check-names';
import type { Slots } from '#gateway/slots';
import { ReloadedFiles } from '#platform/files/reloaded-files';
import type { Authenticator } from '../authentication.ts';
import { accountAuthentication } from './account-authentication.ts';
import { parseAuthFile } from './auth-file.ts';

export interface FileAuthenticationOptions {
  /** A file with one line per user and token; see docs/http-gateway.md for the format. */
  readonly path: string;
  /** Called when a changed file is invalid; the previous contents stay in use. */
  readonly onProblem?: (error: unknown) => void;
}

/**
 * Returns an authenticator for users and tokens in a file. A change of the file takes effect within
 * a second. A repository that a user may not read is reported as missing; `gl_id` is
 * `username-<name>`.
 *
 * @param logins slots of waiting logins of all processes of a server; default: only this one's.
 * @throws {AuthFileError} and the system's errors when the file is unusable at the start.
 */
export async function fileAuthentication(
  options: FileAuthenticationOptions,
  logins?: Slots,
): Promise<Authenticator> {
  checkNames('fileAuthentication', options, { path: true, onProblem: true });
  const { onProblem, path } = options;
  const file = await ReloadedFiles.open({
    paths: [path],
    parse: ([contents]) => parseAuthFile(contents?.toString() ?? ''),
    onProblem: onProblem ?? (() => {}),
  });
  return {
    ...accountAuthentication(() => file.current(), { logins }),
    reload: async () => void (await file.refreshed()),
  };
}
