import { type DescMessage, fromJsonString, type MessageShape } from '@bufbuild/protobuf';
import { messageOf } from '#base/gitaly-error';
import type { ServiceCaller } from '#client/call/typed-client';
import type { PackResult, Stdio } from '#client/git/git-streams';
import { receivePack } from '#client/git/receive-pack';
import { uploadArchive } from '#client/git/upload-archive';
import { uploadPackWithSidechannel } from '#client/git/upload-pack-with-sidechannel';
import type { SidechannelRegistry } from '#client/sidechannel-registry';
import {
  SSHReceivePackRequestSchema,
  SSHUploadArchiveRequestSchema,
  SSHUploadPackWithSidechannelRequestSchema,
} from '#wire/gen/ssh_pb';

export interface CommandCall {
  readonly connection: ServiceCaller;
  readonly registry: SidechannelRegistry;
  readonly io: Stdio;
  /** The request as JSON. */
  readonly payload: string;
}

/**
 * Runs one of git's server commands. @throws {Error} `json unmarshal: …`, and the client's errors.
 */
export type SshCommand = (call: CommandCall) => Promise<PackResult>;

/**
 * Shows references that the server hides from ordinary users; git has no other way to undo such a
 * setting.
 */
const SHOW_ALL_REFS = 'transfer.hideRefs=!refs';

export const SSH_COMMANDS: Readonly<Record<string, SshCommand>> = {
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

function parseRequest<Desc extends DescMessage>(schema: Desc, payload: string): MessageShape<Desc> {
  try {
    return fromJsonString(schema, payload);
  } catch (error) {
    throw new Error(`json unmarshal: ${messageOf(error)}`, { cause: error });
  }
}
