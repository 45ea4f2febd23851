import { addressProblem } from '#base/go/net/address-problem';
import { isLoopback, splitHostPort } from '#base/go/net/host-port';
import { quote } from '#base/go/quote';
import { type ConfigProblem, fileExists, httpUrlProblem, keyPairProblem, Problems } from './checks.ts';
import type { ConfigOf } from './keys.ts';
import type { consoleTable } from './schema/console.ts';

type ConsoleValues = ConfigOf<{ console: typeof consoleTable }>['console'];

/** Returns the problems of `[console]`, with relative keys. */
export function consoleProblems(
  table: ConsoleValues,
  storages: readonly { readonly name: string | undefined }[],
): ConfigProblem[] {
  const problems = new Problems();
  const { authFile, cloneUrl, listenAddr, storage } = table;
  problems.add(listenAddr && listenProblem(listenAddr, authFile), 'listen_addr');
  if (storage !== undefined && !storages.some(({ name }) => name === storage))
    problems.add(`no such storage: ${quote(storage)}`, 'storage');
  problems.add(authFile && fileExists(authFile), 'auth_file');
  addTlsProblems(table, problems);
  problems.add(cloneUrl && httpUrlProblem(cloneUrl), 'clone_url');
  return problems.list;
}

function listenProblem(address: string, authFile: string | undefined): string | undefined {
  const problem = addressProblem(address);
  if (problem !== undefined) return `listen tcp: ${problem}`;
  if (authFile !== undefined || isLoopback(splitHostPort(address).host)) return undefined;
  return `other machines can reach ${quote(address)}, so the console needs auth_file`;
}

function addTlsProblems({ certificatePath, keyPath }: ConsoleValues, problems: Problems): void {
  if (certificatePath === undefined && keyPath === undefined) return;
  if (keyPath === undefined) problems.add('needs key_path', 'certificate_path');
  else if (certificatePath === undefined) problems.add('needs certificate_path', 'key_path');
  else {
    const noCertificate = fileExists(certificatePath);
    const noKey = fileExists(keyPath);
    problems.add(noCertificate, 'certificate_path').add(noKey, 'key_path');
    if (noCertificate === undefined && noKey === undefined)
      problems.add(keyPairProblem(certificatePath, { path: keyPath }), 'key_path');
  }
}
