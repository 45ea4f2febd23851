import { readFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { messageOf } from '#base/gitaly-error';
import { entriesOfDocument } from '#platform/config/flat-document';
import { diagnoseBucket, isBucketUrl } from '#tools/doctor/check-generations';
import { diagnoseUp, type UpFacts } from '#tools/doctor/diagnose-up';
import type { Finding } from '#tools/doctor/finding';
import { diagnose } from '#tools/doctor/run-doctor';
import { problemsOfConfig } from './config-check.ts';
import { printFindings, summaryOf } from './findings.ts';
import { upOptions } from './up/run-up-command.ts';
import { upSocket } from './up/up-directory.ts';
import { keysOf, problemLines, UP_DIRECTORY } from './up/up-file.ts';
import { lfsStoreOf } from './up/up-lfs.ts';

export interface DoctorOptions {
  readonly json?: boolean;
  /** The command whose options are the keys of a file. */
  readonly up: Command;
}

/**
 * Runs `gitaly-ts doctor`. Resolves to the exit code: 1 if an error was found; warnings do not
 * count.
 */
export async function runDoctor(
  target: string | undefined,
  { json = false, up }: DoctorOptions,
): Promise<number> {
  try {
    const findings = await printFindings(await diagnosisOf(target, up), { json });
    const summary = summaryOf(findings);
    if (json) process.stdout.write(`${JSON.stringify({ ...summary, findings }, undefined, 2)}\n`);
    return summary.errors > 0 ? 1 : 0;
  } catch (error) {
    process.stderr.write(`gitaly-ts doctor: ${messageOf(error)}\n`);
    return 1;
  }
}

async function diagnosisOf(target: string | undefined, up: Command): Promise<AsyncGenerator<Finding>> {
  if (target === undefined) return diagnose(target);
  if (isBucketUrl(target)) return diagnoseBucket(target);
  return isUpFile(target, up) ? diagnoseUp(await factsOf(target, up)) : diagnose(target);
}

/** Reports whether a file is one of `up --config`: a server's configuration has none of its keys. */
function isUpFile(path: string, up: Command): boolean {
  try {
    if (!statSync(path).isFile()) return false;
    const keys = new Set([...keysOf(up).keys(), UP_DIRECTORY]);
    return entriesOfDocument(readFileSync(path, 'utf8')).some(({ key }) => keys.has(key));
  } catch {
    return false; // the other diagnosis reports it
  }
}

async function factsOf(path: string, up: Command): Promise<UpFacts> {
  const { directory, problems } = await problemsOfConfig(up, path);
  const options = upOptions(up, directory);
  const { authFile, http, log, metrics, ssh, tlsCert, tlsKey, tokenFile } = options;
  const given = (entries: Readonly<Record<string, string | undefined>>): Map<string, string> =>
    new Map(Object.entries(entries).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
  return {
    path,
    problems: problemLines(path, problems),
    directory,
    socket: await upSocket(directory).catch(() => undefined), // there is no directory yet
    addresses: given({ http: http === 'off' ? undefined : http, ssh, metrics }),
    certificate: tlsCert,
    secrets: given({ auth_file: authFile, tls_key: tlsKey, token_file: tokenFile }),
    log,
    lfs: lfsStoreOf(directory, options)?.url,
  };
}
