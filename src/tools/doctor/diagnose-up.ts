import { existsSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemErrorText } from '#base/go/system-error';
import { checkSocket, checkUpAddress } from './check-addresses.ts';
import { checkBucket } from './check-buckets.ts';
import { checkLeftovers } from './check-leftovers.ts';
import { checkMachine } from './check-machine.ts';
import { checkCertificate, checkMode } from './check-secrets.ts';
import { type Finding, failure, ok } from './finding.ts';
import { roundTrip } from './round-trip.ts';
import { checkUpDirectory, checkVariables, isUpDirectory } from './run-doctor.ts';

/** The options of `gitaly-ts up` that doctor checks. */
export interface UpFacts {
  /** Path of the file of options. */
  readonly path: string;
  /** Reasons why `up` would refuse the file, with their lines. */
  readonly problems: readonly string[];
  readonly directory: string;
  /** Path of the socket of a server on the directory; `undefined` without the directory. */
  readonly socket: string | undefined;
  /** Addresses (`HOST:PORT`) by their keys. */
  readonly addresses: ReadonlyMap<string, string>;
  readonly certificate: string | undefined;
  /** Files that only the owner may read, by their keys. */
  readonly secrets: ReadonlyMap<string, string>;
  /** Path of the access log. */
  readonly log: string | undefined;
  /** URL of the store of Git LFS; `undefined` without one. */
  readonly lfs: string | undefined;
}

/** Checks what `gitaly-ts up --config FILE` needs, and yields the findings. */
export async function* diagnoseUp(facts: UpFacts): AsyncGenerator<Finding, void, undefined> {
  const gitBinary = process.env.GITALY_TESTING_GIT_BINARY || 'git';
  yield* checkMachine(gitBinary);
  yield* checkVariables();
  const { path, problems } = facts;
  for (const problem of problems)
    yield failure('configuration', problem, `Correct it: gitaly-ts config check ${path}`);
  if (problems.length === 0) {
    yield ok('configuration', `${path} is valid`);
    yield* checkParts(facts);
  }
  yield* checkLeftovers(undefined);
  yield await roundTrip(gitBinary);
}

async function* checkParts({
  addresses,
  certificate,
  directory,
  lfs,
  log,
  secrets,
  socket,
}: UpFacts): AsyncGenerator<Finding, void, undefined> {
  if (isUpDirectory(directory)) yield* checkUpDirectory(directory);
  else yield await checkWritable('directory', directory);
  const isRunning =
    socket !== undefined && existsSync(socket) && (await checkSocket(socket, undefined)).level === 'ok';
  for (const [key, address] of addresses) yield await checkUpAddress(key, address, isRunning);
  if (certificate !== undefined) yield await checkCertificate(certificate);
  for (const [key, file] of secrets) yield await checkMode(key, file);
  if (lfs !== undefined) yield await checkBucket('store of LFS', lfs);
  // Missing directories are created with that of the repositories only.
  const isBeside = log !== undefined && dirname(log) === directory && !existsSync(directory);
  if (log !== undefined && log !== '-' && !isBeside) yield await checkWritable('log', log);
}

/** Checks that a path can be written to, or created. */
async function checkWritable(subject: string, path: string): Promise<Finding> {
  const target = existsSync(path) ? path : dirname(path);
  try {
    await access(target, constants.W_OK);
    return ok(subject, target === path ? `${path} is writable` : `${path} can be created`);
  } catch (error) {
    const fix = 'Create the directory, or make the user of the server its owner.';
    return failure(subject, `${target}: ${systemErrorText(error)}`, fix);
  }
}
