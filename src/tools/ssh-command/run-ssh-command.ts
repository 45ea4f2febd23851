import { chdir } from 'node:process';
import { type DescMessage, fromJsonString, type MessageShape } from '@bufbuild/protobuf';
import { didYouMean } from '#base/check-names';
import { messageOf } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { statusText } from '#base/go/status';
import { parseBool } from '#base/go/strconv';
import type { BareConnection } from '#client/bare-connection';
import { CallError } from '#client/call/call-error';
import type { ServiceCaller } from '#client/call/typed-client';
import { dialBareSidechannel } from '#client/dial-bare-sidechannel';
import type { PackResult, Stdio } from '#client/git/git-streams';
import { receivePack, uploadArchive } from '#client/git/ssh-commands';
import { uploadPackWithSidechannel } from '#client/git/upload-pack-with-sidechannel';
import { SidechannelRegistry } from '#client/sidechannel-registry';
import { createLogger } from '#platform/log/logger';
import {
  SSHReceivePackRequestSchema,
  SSHUploadArchiveRequestSchema,
  SSHUploadPackWithSidechannelRequestSchema,
} from '#wire/gen/ssh_pb';

/** The environment of a process. */
type Environment = Readonly<Record<string, string | undefined>>;

/** A command and the two arguments that git adds. */
const MIN_ARGUMENTS = 3;

interface CommandCall {
  readonly connection: ServiceCaller;
  readonly registry: SidechannelRegistry;
  readonly io: Stdio;
  /** The request as JSON. */
  readonly payload: string;
}

/**
 * Runs one of git's server commands. @throws {Error} `json unmarshal: …`, and the client's errors.
 */
type SshCommand = (call: CommandCall) => Promise<PackResult>;

/**
 * Shows references that the server hides from ordinary users; git has no other way to undo such a
 * setting.
 */
const SHOW_ALL_REFS = 'transfer.hideRefs=!refs';

const SSH_COMMANDS: Readonly<Record<string, SshCommand>> = {
  'upload-pack': ({ connection, registry, io, payload }) => {
    const request = parseRequest(SSHUploadPackWithSidechannelRequestSchema, payload);
    // the request's own settings come later and take precedence
    request.gitConfigOptions.unshift(SHOW_ALL_REFS);
    return uploadPackWithSidechannel(connection, registry, io, request);
  },
  'receive-pack': ({ connection, io, payload }) =>
    receivePack(connection, io, parseRequest(SSHReceivePackRequestSchema, payload)),
  'upload-archive': ({ connection, io, payload }) =>
    uploadArchive(connection, io, parseRequest(SSHUploadArchiveRequestSchema, payload)),
};

/**
 * Runs one of git's three server commands through a Gitaly server; git starts it instead of ssh.
 * The environment contains the parameters (`GITALY_ADDRESS`, `GITALY_TOKEN`, `GITALY_PAYLOAD`,
 * `GITALY_WD`, `GITALY_FEATUREFLAGS`, `CORRELATION_ID`). The interface and the texts are those of
 * Gitaly's program.
 *
 * @returns the remote command's exit status; 1 after an error, which is printed on standard error
 *   as a log line.
 */
export async function runSshCommand(
  args: readonly string[],
  environment: Environment,
  io: Stdio,
): Promise<number> {
  const logger = createLogger({ format: 'text', level: 'info', stream: io.stderr });
  if (args.length < MIN_ARGUMENTS) {
    logger.error(`invalid number of arguments, expected at least 1, got ${args.length}`);
    return 1;
  }
  const name = args[0] ?? '';
  const command = Object.hasOwn(SSH_COMMANDS, name) ? SSH_COMMANDS[name] : undefined;
  if (command === undefined) {
    logger.error(`invalid pack command: ${quote(name)}${didYouMean(name, Object.keys(SSH_COMMANDS))}`);
    return 1;
  }
  try {
    return await runCommand(command, environment, io);
  } catch (error) {
    logger.info({ 'command.name': name, error: errorText(error) }, 'command returned error');
    return 1;
  }
}

async function runCommand(command: SshCommand, environment: Environment, io: Stdio): Promise<number> {
  const { GITALY_ADDRESS: address, GITALY_WD: directory, GITALY_PAYLOAD: payload = '' } = environment;
  if (directory) enter(directory);
  if (!address) throw new Error('gitaly address can not be empty');
  const registry = new SidechannelRegistry();
  await using connection = await connect(address, registry, environment);
  const { exitCode } = await command({ connection, registry, io, payload });
  return exitCode & 0xff;
}

function connect(
  address: string,
  registry: SidechannelRegistry,
  environment: Environment,
): Promise<BareConnection> {
  const { GITALY_TOKEN: token, GITALY_FEATUREFLAGS: flags = '' } = environment;
  const { CORRELATION_ID: correlationId, traceparent } = environment;
  return dialBareSidechannel(address, registry, {
    featureFlags: parseFeatureFlags(flags),
    ...(token && { token }),
    ...(correlationId && { correlationId }),
    ...(traceparent && { traceContext: () => ({ traceparent }) }),
  });
}

function enter(directory: string): void {
  try {
    chdir(directory);
  } catch (error) {
    throw new Error(`unable to chdir to ${directory}`, { cause: error });
  }
}

/** Formats errors of calls as Go programs do. */
function errorText(error: unknown): string {
  const message = messageOf(error);
  return error instanceof CallError ? statusText(error.code, message) : message;
}

/** Parses `name:true,other_name:false`. Ignores malformed items. */
function parseFeatureFlags(text: string): Record<string, boolean> {
  const flags: Record<string, boolean> = {};
  for (const pair of text.split(',')) {
    const [name = '', ...value] = pair.split(':');
    const isOn = parseBool(value.join(':'));
    if (name !== '' && isOn !== undefined) flags[name] = isOn;
  }
  return flags;
}

function parseRequest<Desc extends DescMessage>(schema: Desc, payload: string): MessageShape<Desc> {
  try {
    return fromJsonString(schema, payload);
  } catch (error) {
    throw new Error(`json unmarshal: ${messageOf(error)}`, { cause: error });
  }
}
