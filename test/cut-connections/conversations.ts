import { get } from 'node:http';
import { connect } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import { dialSidechannel, SidechannelRegistry, uploadPackWithSidechannel } from '#client/index';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { type CallableMethod, callable } from '#rpc/common/grpc/grpc-method';
import { EMPTY_PACK, FLUSH, packet, ZERO_OID } from '#testkit/repositories/push';
import { startVotingServer } from '#testkit/servers/voting-server';
import { BlobService } from '#wire/gen/blob_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { RefService } from '#wire/gen/ref_pb';
import { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import type { Place } from './cutting-proxy.ts';

/** The repository and its objects that the conversations use. */
export interface Subject {
  readonly relativePath: string;
  readonly mainOid: string;
  /** Of a blob larger than what sockets hold. */
  readonly bigBlobOid: string;
}

/**
 * Talks to a server through a place, as a real client does. Fails where the connection is cut, or
 * when the signal reports that it was.
 */
export type Conversation = (place: Place, subject: Subject, signal: AbortSignal) => Promise<void>;

/** A client that hears nothing gives up. */
const LIMIT_MS = 10_000;

/** A call of each kind, over plain HTTP/2. */
export const overHttp2: Conversation = async (place, subject, signal) => {
  const [host = '', port = ''] = place.split(/:(?=\d+$)/);
  const socket = place.startsWith('unix:')
    ? connect(place.slice('unix:'.length))
    : connect({ host, port: Number(port) });
  await callAll(connectGrpc(socket), subject, signal);
};

export const overTls: Conversation = async (place, subject, signal) => {
  const [host = '', port = ''] = place.split(/:(?=\d+$)/);
  const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  await callAll(connectGrpc(socket, { isSecure: true }), subject, signal);
};

/** A fetch over a sidechannel of a multiplexed connection. */
export const overSidechannel: Conversation = async (place, { relativePath, mainOid }, signal) => {
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(place.startsWith('unix:') ? place : `tcp://${place}`, registry);
  try {
    const request = `${packet(`want ${mainOid} no-progress\n`)}${FLUSH}${packet('done\n')}`;
    const discard = (): PassThrough => new PassThrough().resume();
    await uploadPackWithSidechannel(
      connection,
      registry,
      { stdin: Readable.from([Buffer.from(request)]), stdout: discard(), stderr: discard() },
      { repository: { storageName: 'default', relativePath } },
      { timeoutMs: LIMIT_MS, signal },
    );
  } finally {
    await connection.close();
  }
};

/** A change that is voted on over the connection that it came by. */
export const withVotes: Conversation = async (place, { relativePath, mainOid }, signal) => {
  await using voting = await startVotingServer(place.startsWith('unix:') ? place : `tcp://${place}`);
  const update = (oldOid: string, newOid: string) => ({
    reference: Buffer.from('refs/heads/voted'),
    oldObjectId: Buffer.from(oldOid),
    newObjectId: Buffer.from(newOid),
  });
  const metadata = voting.metadata();
  for (const updates of [[update('', mainOid)], [update('', ZERO_OID)]]) {
    await voting.connection.ref.updateReferences(
      [{ repository: { storageName: 'default', relativePath }, updates }],
      { metadata, timeoutMs: LIMIT_MS, signal },
    );
  }
};

export const ofMetrics: Conversation = (place) =>
  new Promise((resolve, reject) => {
    const request = get(`http://${place}/metrics`, (response) => {
      response.on('error', reject).on('end', resolve).resume();
    });
    request.on('error', reject).setTimeout(LIMIT_MS, () => request.destroy(new Error('no response')));
  });

async function callAll(
  channel: GrpcChannel,
  { relativePath, mainOid, bigBlobOid }: Subject,
  signal: AbortSignal,
): Promise<void> {
  const repository = { storageName: 'default', relativePath };
  const call = async <I extends DescMessage, O extends DescMessage>(
    method: CallableMethod<I, O>,
    ...requests: MessageInitShape<I>[]
  ): Promise<void> => {
    for await (const _ of channel.invoke(method, requests, { timeoutMs: LIMIT_MS, signal }));
  };
  try {
    await call(callable(CommitService.method.findCommit), { repository, revision: Buffer.from('main') });
    await call(callable(BlobService.method.getBlob), { repository, oid: bigBlobOid, limit: -1n });
    await call(callable(RefService.method.updateReferences), {
      repository,
      updates: [
        {
          reference: Buffer.from('refs/heads/x'),
          oldObjectId: Buffer.from(''),
          newObjectId: Buffer.from(mainOid),
        },
      ],
    });
    const push = `${packet(`${ZERO_OID} ${mainOid} refs/heads/pushed\0report-status`)}${FLUSH}`;
    await call(
      callable(SmartHTTPService.method.postReceivePack),
      { repository, glId: 'user-1', glRepository: 'project-1' },
      { data: Buffer.from(push) },
      { data: EMPTY_PACK },
    );
  } finally {
    channel.destroy();
  }
}
